"""Measures what synthetic queries are worth as example queries."""
