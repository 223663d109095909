"""What is said of a model that the packed layout does not know."""

from __future__ import annotations


class UnknownArchitecture(Exception):
    """The packed graph has no way to say what this model computes."""
