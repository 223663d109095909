"""Measured search without any data: `python -m export bootstrap`.

It checks a catalogue, makes queries from it, and makes the sheets on which people label real ones.
"""
