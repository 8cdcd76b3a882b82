"""Corpora: manifests, synthetic voices, features and samplers for training."""
