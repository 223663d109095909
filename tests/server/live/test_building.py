import contextlib
from pathlib import Path

from server.catalogue.document import Document
from server.catalogue.store import Store
from server.encoding.bundle import Bundle
from server.encoding.cutting import Cutting
from server.encoding.documents import encode_documents
from tests.server.making import WatchedBundle, make_loaded

DOCUMENT = Document(id="a", title="환율", text="오늘의 환율. 어제의 환율. 내일의 환율.")


def test_another_setting_of_passages_encodes_the_documents_again_and_back_none(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    encoded, vectors = [], []
    with contextlib.closing(Store(tmp_path, durable=False)) as store:
        plain = Bundle(tiny_bundle)
        with store.write() as transaction:
            (first,) = encode_documents([DOCUMENT], plain)
            transaction.put(DOCUMENT, first, revision=plain.manifest.revision)
        for cutting in (Cutting(), Cutting(6, 0), Cutting(6, 3), Cutting(6, 0), Cutting()):
            bundle = WatchedBundle(tiny_bundle, cutting=cutting)
            loaded = make_loaded(bundle, store)
            encoded.append(sum(map(len, bundle.batches)))
            vectors.append(loaded.index.state.live_vectors)
            loaded.index.close()
    assert vectors == [2, 5, 5, 5, 2]
    assert encoded == [0, 5, 5, 0, 0]
