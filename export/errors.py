"""The one error of the exporter."""


class ExportError(Exception):
    """The model cannot be exported; the message says why and what to do, on one line."""
