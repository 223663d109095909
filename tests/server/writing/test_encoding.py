import asyncio
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from server.catalogue.document import Document
from server.catalogue.encoded import Vectors
from server.encoding.bundle import Bundle
from server.encoding.cutting import Cutting
from server.encoding.documents import encode_documents
from server.encoding.passages import passages_of
from server.errors import DeadlinePassed, UnfitPart
from server.writing.encoding import PORTION_TEXTS, PORTIONS, DocumentEncoder
from tests.server.making import WatchedBundle, encode, until
from tests.server.writing.making import Core, running, summary, titled, upserts

LONG = " ".join(f"낱말{number}" for number in range(100))


def stored_vectors(core: Core, id: str) -> Vectors:
    vectors = core.store.versioned([id], core.bundle.manifest.revision)[id].vectors
    assert vectors is not None
    return vectors


async def test_a_document_is_stored_with_the_vectors_of_its_passages(core: Core) -> None:
    document = Document(id="a", title="제목", text={"ko": LONG, "en": "short"}, examples=["x y " * 60])
    assert summary(await core.writer.upsert(upserts(document))) == [("a", 1, True, None)]
    vectors = stored_vectors(core, "a")
    passages = passages_of(document, core.bundle)
    np.testing.assert_array_equal(vectors.spans, passages.spans)
    np.testing.assert_allclose(vectors.matrix, encode(core.bundle, passages.texts), atol=1e-6)
    assert len(vectors.spans) == len(core.index.state.dense) > 6
    assert await core.found("낱말99") == ["a"], "even the end of the text is found"


async def test_only_the_new_texts_of_a_document_are_encoded(core: Core) -> None:
    before = Document(id="a", title={"ko": "환율", "en": "exchange rate"}, text=LONG, examples=["달러"])
    await core.writer.upsert(upserts(before))
    old = stored_vectors(core, "a")
    core.bundle.batches.clear()
    after = Document(
        id="a", title={"ko": "환율", "en": "rates"}, text=LONG, examples=["유로", "달러"], attributes={"n": 1}
    )
    await core.writer.upsert(upserts(after))
    assert sum(map(len, core.bundle.batches)) == 2
    assert (core.bundle.times_encoded("rates"), core.bundle.times_encoded("유로")) == (1, 1)
    new = stored_vectors(core, "a")
    texts = passages_of(after, core.bundle).texts
    np.testing.assert_allclose(new.matrix, encode(core.bundle, texts), atol=1e-6)
    kept = old.spans[:, 0] == 2
    np.testing.assert_array_equal(new.matrix[new.spans[:, 0] == 2], old.matrix[kept])


async def test_a_change_of_attributes_encodes_nothing(core: Core) -> None:
    await core.writer.upsert(upserts(Document(id="a", title="환율", attributes={"n": 1})))
    core.bundle.batches.clear()
    assert summary(await core.writer.upsert(upserts(Document(id="a", title="환율")))) == [("a", 2, True, None)]
    assert core.bundle.batches == []
    assert await core.found("환율") == ["a"]


async def test_equal_texts_of_a_call_are_encoded_once(core: Core) -> None:
    documents = [Document(id=f"{number}", title="환율", examples=["달러", "달러"]) for number in range(20)]
    await core.writer.upsert(upserts(*documents))
    assert (core.bundle.times_encoded("환율"), core.bundle.times_encoded("달러")) == (1, 1)
    assert len(await core.found("환율")) == 20


async def test_vectors_of_other_passages_are_not_reused(core: Core) -> None:
    document = Document(id="a", title="환율", text=LONG)
    await core.writer.upsert(upserts(document))
    otherwise = Bundle(core.bundle.directory, cutting=Cutting(overlap_tokens=4))
    (old,) = encode_documents([document], otherwise)
    with core.store.write() as transaction:  # As an earlier version of the server would have cut the text.
        transaction.put_vectors(core.store.sequence, old, revision=core.bundle.manifest.revision)
    encoder = DocumentEncoder(core.store)
    changed = Document(id="a", title="환율", text=LONG, examples=["달러"])
    (vectors,) = await encoder.encode(core.slot.engine, [changed], deadline=math.inf, patient=False)
    assert isinstance(vectors, Vectors)
    passages = passages_of(changed, core.bundle)
    np.testing.assert_array_equal(vectors.spans, passages.spans)
    np.testing.assert_allclose(vectors.matrix, encode(core.bundle, passages.texts), atol=1e-6)
    encoder.close()


async def test_a_text_that_does_not_fit_fails_alone(tmp_path: Path, titled_bundle: Path) -> None:
    async with running(tmp_path / "data", titled_bundle) as core:
        no_room = Document(id="b", title={"": "x", "en": "x" * 70}, text={"": "y", "en": "y z"})
        outcomes = await core.writer.upsert(upserts(titled("a"), no_room, titled("c")))
        assert summary(outcomes) == [("a", 1, True, None), ("b", 0, False, "UnfitPart"), ("c", 2, True, None)]
        error = outcomes[1].error
        assert isinstance(error, UnfitPart)
        assert (error.kind, error.position) == ("text", 1)


async def test_a_write_whose_deadline_passes_before_it_is_encoded_writes_nothing(core: Core) -> None:
    core.bundle.gate.clear()
    busy = asyncio.create_task(core.found("busy"))
    await until(lambda: core.bundle.batches)
    writing = asyncio.create_task(core.writer.upsert(upserts(titled("a")), remaining_seconds=0.1))
    await asyncio.sleep(0.15)
    core.bundle.gate.set()
    with pytest.raises(DeadlinePassed):
        await writing
    await busy
    assert core.store.sequence == 0
    assert core.bundle.times_encoded("a") == 0


async def test_a_large_write_does_not_block_searches(core: Core) -> None:
    documents = [titled(f"{number}", f"title {number}") for number in range(20 * PORTION_TEXTS)]
    core.bundle.gate.clear()
    writing = asyncio.create_task(core.writer.upsert(upserts(*documents)))
    await until(lambda: core.bundle.batches)
    await asyncio.sleep(0.05)
    assert len(core.slot.engine.pipeline) <= PORTIONS * PORTION_TEXTS
    core.bundle.gate.set()
    assert await core.found("title 7") == []
    assert not writing.done(), "a search does not wait for the write"
    assert len(await writing) == len(documents)
    assert core.slot.engine.pipeline.admission.bulk_tokens == 0


async def test_a_cancelled_write_does_not_delay_others(tmp_path: Path, tiny_bundle: Path) -> None:
    async with running(tmp_path / "data", WatchedBundle(tiny_bundle)) as core:
        core.bundle.gate.clear()
        writing = asyncio.create_task(core.writer.upsert(upserts(*(titled(f"{number}") for number in range(500)))))
        await until(lambda: core.bundle.batches)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        core.bundle.gate.set()
        assert summary(await core.writer.upsert(upserts(titled("a")))) == [("a", 1, True, None)]
        assert core.slot.engine.pipeline.admission.bulk_tokens == 0


async def test_replacing_large_documents_reads_one_of_them_at_a_time(core: Core) -> None:
    ids = [f"{number}" for number in range(30)]
    large = [Document(id=id, title="환율", attributes={"manual": "x" * 300_000}) for id in ids]
    for document in large:
        await core.writer.upsert(upserts(document))
    small = upserts(*(Document(id=id, title="환율") for id in ids))
    tracemalloc.start()
    try:
        outcomes = await core.writer.upsert(small)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(outcome.changed for outcome in outcomes)
    assert most_bytes < 5 * 300_000
