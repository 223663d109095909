"""Uses every part of the client: PYTHON old_python_client.py ADDRESS, where PYTHON has only the client's wheel."""

import asyncio
import sys

import chaja
from chaja.v1 import Document, GetServerInfoRequest, ListDocumentsRequest, LocalizedText, SearchRequest, Upsert


def documents() -> "list[Upsert]":
    titles = [LocalizedText(language_code="ko", text="카드 분실 신고")]
    return [Upsert(document=Document(id=f"old-{number}", titles=titles)) for number in range(3)]


async def search_async(address: str) -> int:
    async with chaja.connect_async(address, token="none") as client:
        listed = await client.catalog.ListDocuments(ListDocumentsRequest(page_size=2))
        requests = iter([SearchRequest(query="카드"), SearchRequest(query="card")])
        answers = [answer async for answer in client.search.SearchStream(requests, timeout=30)]
        return len(listed.documents) + len(answers)


def main(address: str) -> None:
    with chaja.connect(address, token="none") as client:
        version = client.info.GetServerInfo(GetServerInfoRequest()).server_version
        results = list(chaja.import_documents(client, documents(), import_id="old"))
        hits = client.search.Search(SearchRequest(query="카드 분실 신고")).hits
    print(version, len(results), len(hits), asyncio.run(search_async(address)))


main(sys.argv[1])
