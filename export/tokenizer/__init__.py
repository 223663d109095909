"""Writes a tower's tokenizer, as a sentencepiece model if that gives the same tokens."""
