"""The client of Chaja: typed stubs, and channels with safe defaults.

`chaja.connect` opens a blocking client, and `chaja.connect_async` one for asyncio. `chaja.import_documents` writes many
documents. Messages are in `chaja.v1`. Errors are `grpc.RpcError`.
"""

from chaja._version import __version__
from chaja.client import AsyncClient, Client, connect, connect_async
from chaja.importing import import_documents

__all__ = ["AsyncClient", "Client", "__version__", "connect", "connect_async", "import_documents"]
