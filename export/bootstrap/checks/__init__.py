"""Checks of a catalogue: what in it makes search worse."""
