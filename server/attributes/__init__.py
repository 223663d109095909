"""Attributes in, the documents that a filter allows out."""
