"""Models from PyPI packages, so that an export needs no model hub."""
