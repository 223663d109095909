"""The version of the client, the protocol's stubs and the server."""

__version__ = "0.1.0"
