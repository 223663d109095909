"""Builds the padded graph by optimum's exporter and quantization presets: for all that `packed` does not know."""
