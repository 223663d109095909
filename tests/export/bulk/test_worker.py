"""The code of Ray's workers, without Ray."""

from pathlib import Path

import msgspec
import numpy as np
import pyarrow
import pytest

from export.bulk.checking import Stretch, Work, digest_of
from export.bulk.parts import LinesPart
from export.bulk.portions import (
    PORTION_BYTES,
    PORTION_DOCUMENTS,
    encoded_of,
    error_of,
    portion_row,
    portions_of,
    work_rows,
)
from export.bulk.worker import Encoder, read_portions
from server.catalogue.document import Document, content_of
from server.catalogue.jsonl import Lines
from server.encoding.bundle import Bundle
from server.encoding.cutting import DEFAULT_CUTTING, Cutting
from server.encoding.documents import encode_documents
from tests.export.bulk.making import rows, write_jsonl
from tests.tiny_bundle import make_bundle

DOCUMENTS = [msgspec.convert(row, Document) for row in rows(20)]
PORTION = portion_row(list(map(content_of, DOCUMENTS)))


def encoder_of(directory: Path, *, cutting: Cutting = DEFAULT_CUTTING) -> Encoder:
    return Encoder(str(directory), cutting, Bundle(directory, cutting=cutting).manifest.revision)


@pytest.mark.parametrize("cutting", [DEFAULT_CUTTING, Cutting(16, 0)])
def test_an_encoder_returns_the_documents_with_the_servers_vectors(cutting: Cutting, tiny_bundle: Path) -> None:
    encoded = encoded_of(encoder_of(tiny_bundle, cutting=cutting)(PORTION))
    expected = encode_documents(DOCUMENTS, Bundle(tiny_bundle, cutting=cutting))
    assert encoded.documents == DOCUMENTS
    assert encoded.cpu_seconds > 0
    for found, wanted in zip(encoded.vectors, expected, strict=True):
        assert np.array_equal(found.spans, wanted.spans)
        assert found.matrix.tobytes() == wanted.matrix.tobytes()


def test_a_bundle_that_the_worker_cannot_use_is_the_error_of_each_portion(tiny_bundle: Path, tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "other", seed=8)
    revision = Bundle(tiny_bundle).manifest.revision
    damaged = make_bundle(tmp_path / "damaged")
    next(damaged.rglob("*.onnx")).write_bytes(b"x")
    for directory, message in (
        (tmp_path / "nowhere", "nowhere is not a bundle: it has no manifest.json"),
        (other, "other has another bundle than the machine of the command"),
        (damaged, "damaged"),
    ):
        row = Encoder(str(directory), DEFAULT_CUTTING, revision)(PORTION)
        assert message in str(error_of(row))
        assert " (on the worker " in str(error_of(row))


def test_a_document_that_the_model_cannot_read_is_named(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", title_separator=" ")
    unfit = Document(id="odd", title="x" * 64, text="There is no room for it after the title.")
    row = encoder_of(bundle)(portion_row([content_of(DOCUMENTS[0]), content_of(unfit)]))
    assert "document 'odd': text: has no room after its title" in str(error_of(row))


def test_an_error_passes_the_encoder(tiny_bundle: Path, tmp_path: Path) -> None:
    work = Work(LinesPart(str(tmp_path / "gone.jsonl"), Lines()), [Stretch(b"", b"\1")])
    (row,) = read_portions(pyarrow.Table.from_pylist(work_rows([work])))
    assert "gone.jsonl cannot be read: No such file" in str(error_of(row))
    assert encoder_of(tiny_bundle)(row) is row


def test_only_wanted_documents_are_read(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "c.jsonl", rows(20))
    wanted = bytes(number % 2 for number in range(20))
    work = Work(LinesPart(str(path), Lines()), [Stretch(digest_of(map(content_of, DOCUMENTS)), wanted)])
    (row,) = read_portions(pyarrow.Table.from_pylist(work_rows([work])))
    assert row == portion_row([content_of(each) for each in DOCUMENTS[1::2]])


def test_portions_are_bounded() -> None:
    small = [b"x"] * (2 * PORTION_DOCUMENTS + 1)
    assert list(map(len, portions_of(small))) == [PORTION_DOCUMENTS, PORTION_DOCUMENTS, 1]
    large = [b"x" * (PORTION_BYTES - 1), b"x", b"x", b"x" * 2 * PORTION_BYTES, b"x"]
    assert list(map(len, portions_of(large))) == [2, 1, 1, 1]
    assert list(portions_of([])) == []
