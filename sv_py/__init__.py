"""Speaker recognition recipes in PyTorch behind Kaldi's file formats and shell conventions."""
