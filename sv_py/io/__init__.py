"""Kaldi text tables, arks, trials and scores; every file is written whole or not at all."""
