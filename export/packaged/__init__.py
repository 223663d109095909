"""Models that come out of PyPI packages, so that an export needs no model hub."""
