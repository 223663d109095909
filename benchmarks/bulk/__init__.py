"""Bulk encoding with one worker, with two, and with one that is killed."""
