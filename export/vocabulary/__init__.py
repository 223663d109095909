"""Trims a vocabulary to some languages: `languages` selects characters, `trimming` makes the smaller tokenizer."""
