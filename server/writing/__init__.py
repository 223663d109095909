"""Writes documents: encodes them, commits them to the store and updates the live index, then acknowledges."""
