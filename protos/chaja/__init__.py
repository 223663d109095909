"""The client of Chaja: typed stubs, and channels with safe defaults.

    with chaja.connect("search:50051") as client:
        response = client.search.Search(SearchRequest(query="lost my wallet"))

`chaja.connect_async` does the same for asyncio. `chaja.import_documents` writes many documents. Messages are in
`chaja.v1`.
"""

from chaja._version import __version__
from chaja.client import AsyncClient, Client, connect, connect_async
from chaja.importing import import_documents

__all__ = ["AsyncClient", "Client", "__version__", "connect", "connect_async", "import_documents"]
