"""Builds the padded graph with optimum's exporter and presets, for models that `packed` does not support."""
