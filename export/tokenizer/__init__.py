"""Writes a tower's tokenizer as the server wants it: as a sentencepiece model where that gives the same tokens."""
