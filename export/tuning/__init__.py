"""Trains a model on labelled queries, and exports it: `python -m export tune`."""
