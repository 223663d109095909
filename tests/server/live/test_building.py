import contextlib
from pathlib import Path

from msgspec.structs import replace

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


def test_a_builder_keeps_only_the_documents_of_its_shard(tmp_path: Path, tiny_bundle: Path) -> None:
    with contextlib.closing(Store(tmp_path, durable=False)) as store:
        bundle = Bundle(tiny_bundle)
        loaded = make_loaded(bundle, store, keeps=lambda id: id.startswith("own"))

        def put(id: str) -> int:
            document = replace(DOCUMENT, id=id)
            with store.write() as transaction:
                (vectors,) = encode_documents([document], bundle)
                return transaction.put(document, vectors, revision=bundle.manifest.revision)

        def ids() -> list[str]:
            return sorted(loaded.index.versions_of(["own 1", "own 2", "other 1", "other 2"]))

        sequences = [put(id) for id in ("own 1", "other 1")]
        assert loaded.builder.follow(loaded.index) == sequences[0]
        assert (loaded.index.state.sequence, ids()) == (sequences[1], ["own 1"])
        put("other 2")
        assert loaded.builder.follow(loaded.index) == 0, "nothing changed for this shard"
        with store.write() as transaction:
            deleted = transaction.delete("own 1")
            transaction.delete("other 1")
        assert loaded.builder.follow(loaded.index) == deleted
        assert (loaded.index.state.sequence, ids()) == (store.sequence, [])
        put("own 2")
        built = loaded.new_index()
        loaded.builder.catch_up(built)
        assert (built.state.slots.live_count, built.state.sequence) == (1, store.sequence)
        for index in (loaded.index, built):
            index.close()
