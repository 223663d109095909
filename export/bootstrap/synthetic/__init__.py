"""Queries made by rules from the titles and texts of a catalogue, without any model of language."""
