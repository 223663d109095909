"""The error for a model that the packed layout does not support."""

from __future__ import annotations


class UnknownArchitecture(Exception):
    """The packed layout does not support the model."""
