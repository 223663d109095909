"""Measures the index of completions: time of each kind of typed text, of writes, and memory."""
