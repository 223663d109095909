"""Measures what `server learn` makes of feedback."""
