import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from server.encoding.bundle import Bundle
from server.encoding.cutting import Cutting
from server.encoding.golden import cosines
from server.encoding.kind import TextKind
from server.encoding.manifest import read_manifest
from server.errors import BundleError
from server.files import file_digest
from tests.tiny_bundle import make_bundle, write_manifest


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle to damage."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def change_manifest(directory: Path, **changes: Any) -> None:
    path = directory / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_dot_product_bundle_keeps_the_lengths(tmp_path: Path) -> None:
    bundle = Bundle(make_bundle(tmp_path / "dot", similarity="dot"))
    short, long = bundle.encode_texts([("a", TextKind.QUERY), ("aa", TextKind.QUERY)])
    np.testing.assert_allclose(long, 2 * short, rtol=1e-6)


def test_a_bundle_that_cuts_texts_otherwise_has_another_revision(tiny_bundle: Path) -> None:
    own = read_manifest(tiny_bundle).revision
    cuttings = [Cutting(), Cutting(48), Cutting(48, 0), Cutting(0, 0)]
    revisions = [Bundle(tiny_bundle, cutting=each).manifest.revision for each in cuttings]
    assert revisions[0] == own, "the vectors of stores stay right"
    assert len(set(revisions)) == len(cuttings)
    assert revisions == [read_manifest(tiny_bundle, cutting=each).revision for each in cuttings]


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no manifest": (lambda d: (d / "manifest.json").unlink(), "is not a bundle: it has no manifest.json"),
    "broken manifest": (lambda d: (d / "manifest.json").write_text("{"), "cannot be read: Input data was truncated"),
    "foreign manifest": (lambda d: (d / "manifest.json").write_text('{"name": "x"}'), "schema version None"),
    "earlier schema": (lambda d: change_manifest(d, schema_version=1), "schema version 1; this server reads 3"),
    "unknown field": (lambda d: change_manifest(d, surprise=1), "unknown field `surprise`"),
    "changed manifest": (
        lambda d: change_manifest(d, prefixes=dict.fromkeys(("query", "title", "text", "example"), "q: ")),
        "was changed after the export",
    ),
    "changed name": (lambda d: change_manifest(d, name="other"), "was changed after the export"),
    "changed dimension": (lambda d: change_manifest(d, dimension=31), "was changed after the export"),
    "changed report": (lambda d: change_manifest(d, report={"good": True}), "was changed after the export"),
    "no checksum": (lambda d: change_manifest(d, checksum=""), "was changed after the export"),
    "missing model": (lambda d: (d / "query/model.onnx").unlink(), "query/model.onnx is missing or damaged"),
    "damaged model": (lambda d: flip_byte(d / "query/model.onnx"), "query/model.onnx is missing or damaged"),
    "damaged tokenizer": (lambda d: flip_byte(d / "query/tokenizer.json"), "tokenizer.json is missing or damaged"),
    "foreign model": (
        lambda d: replace(d, "query/model.onnx", b"no graph"),
        "is not a model that ONNX Runtime can load",
    ),
    "foreign tokenizer": (lambda d: replace(d, "query/tokenizer.json", b"{}"), "is not a tokenizer"),
    "foreign golden": (lambda d: replace(d, "golden.json", b"[1]"), "golden.json cannot be read"),
    "no golden vectors": (lambda d: replace(d, "golden.json", b"[]"), "golden.json has no vectors of 32 dimensions"),
    "short golden vectors": (
        lambda d: replace(d, "golden.json", b'[{"text": "a", "kind": "query", "vector": [1.0]}]'),
        "golden.json has no vectors of 32 dimensions",
    ),
    "wrong model": (lambda d: swap_model(d, seed=8), "the model computes wrong vectors on this CPU: worst cosine"),
    "wrong dimension": (lambda d: swap_model(d, dimension=16), "vectors have 16 dimensions, the manifest says 32"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_foreign_bundle_is_rejected_with_advice(copy: Path, damage: str) -> None:
    harm, message = DAMAGES[damage]
    harm(copy)
    with pytest.raises(BundleError) as raised:
        Bundle(copy).verify()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "export" in str(raised.value)


def test_the_revision_depends_on_every_field_that_a_vector_depends_on(copy: Path) -> None:
    manifest = read_manifest(copy)
    shorter = msgspec.structs.replace(manifest.query, max_tokens=7)
    changes: list[dict[str, Any]] = [
        *({"prefixes": msgspec.structs.replace(manifest.prefixes, **{kind.value: "other "})} for kind in TextKind),
        {"weights": msgspec.structs.replace(manifest.weights, example=0.5)},
        {"title_separator": " "},
        {"similarity": "dot"},
        {"query": shorter},
        {"document": shorter},
        {"query": msgspec.structs.replace(manifest.query, layout="packed")},
        {"files": {}},
    ]
    revisions = {msgspec.structs.replace(manifest, **change).computed_revision() for change in changes}
    assert len(revisions - {manifest.revision}) == len(changes)
    assert msgspec.structs.replace(manifest, name="renamed").computed_revision() == manifest.revision


def test_cosines_match_hand_computed_values() -> None:
    left = np.array([[1, 0], [1, 1], [0, 0]], dtype=np.float32)
    right = np.array([[2, 0], [-1, -1], [1, 0]], dtype=np.float32)
    np.testing.assert_allclose(cosines(left, right), [1, -1, 0], atol=1e-6)


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def replace(directory: Path, name: str, data: bytes) -> None:
    """Replaces a file and its digest in the manifest, like in a bundle assembled by hand."""
    (directory / name).write_bytes(data)
    manifest = read_manifest(directory)
    files = manifest.files | {name: file_digest(directory / name)}
    write_manifest(directory, msgspec.structs.replace(manifest, files=files))


def swap_model(directory: Path, **options: Any) -> None:
    other = make_bundle(directory.parent / "other", **options)
    replace(directory, "query/model.onnx", (other / "query/model.onnx").read_bytes())
