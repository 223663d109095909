"""Trims a vocabulary to some languages: `languages` says which pieces stay, `trimming` makes the smaller tokenizer."""
