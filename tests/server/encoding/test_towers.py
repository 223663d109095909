import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from server.encoding.bundle import Bundle
from server.encoding.kind import TextKind
from server.encoding.manifest import read_manifest
from server.errors import BundleError
from tests.server.encoding.test_bundle import replace
from tests.tiny_bundle import make_bundle, write_manifest

TEXTS = ["a", "bb ccc", "찾아", "one two three", "x" * 30]


@pytest.fixture(scope="module")
def two_towers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("two") / "bundle", seed=1, document_seed=2, document_max_tokens=20)


def test_each_kind_of_text_is_encoded_by_its_tower(two_towers: Path, tmp_path: Path) -> None:
    vectors = {kind: Bundle(two_towers).encode_texts([(text, kind) for text in TEXTS]) for kind in TextKind}
    for kind, seed, max_tokens in ((TextKind.QUERY, 1, 64), (TextKind.TEXT, 2, 20)):
        alone = Bundle(make_bundle(tmp_path / kind.value, seed=seed, max_tokens=max_tokens))
        assert vectors[kind].tobytes() == alone.encode_texts([(text, kind) for text in TEXTS]).tobytes()


def test_mixed_kinds_keep_their_order_and_their_vectors(two_towers: Path) -> None:
    bundle = Bundle(two_towers)
    texts = [(text, kind) for text in TEXTS for kind in reversed(TextKind)]
    tokens = bundle.tokenize(texts)
    assert [each.kind for each in tokens] == [kind for _, kind in texts]
    alone = np.concatenate([bundle.encode_texts([text]) for text in texts])
    assert bundle.encode(tokens).tobytes() == alone.tobytes()
    assert bundle.encode([]).shape == (0, 32)


def test_each_tower_has_its_own_maximum(two_towers: Path) -> None:
    query, document = Bundle(two_towers).tokenize([("x" * 30, kind) for kind in (TextKind.QUERY, TextKind.TEXT)])
    assert (len(query.ids), query.whole_count) == (30, 30)
    assert (len(document.ids), document.whole_count) == (20, 30)


def test_the_golden_texts_check_both_towers(two_towers: Path, tmp_path: Path) -> None:
    assert Bundle(two_towers).verify() == pytest.approx(1.0)
    swapped = Path(shutil.copytree(two_towers, tmp_path / "bundle"))
    replace(swapped, "document/model.onnx", (swapped / "query/model.onnx").read_bytes())
    with pytest.raises(BundleError, match="the model computes wrong vectors on this CPU"):
        Bundle(swapped).verify()


def test_a_document_tower_that_is_damaged_or_not_in_the_manifest_is_rejected(two_towers: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(two_towers, tmp_path / "bundle"))
    path = copy / "document/tokenizer.json"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BundleError, match=r"document/tokenizer\.json is missing or damaged; copy the bundle or export"):
        Bundle(copy)
    manifest = read_manifest(copy)
    files = {name: digest for name, digest in manifest.files.items() if not name.startswith("document/")}
    write_manifest(copy, msgspec.structs.replace(manifest, files=files))
    with pytest.raises(BundleError, match=r"has no document/model\.onnx; export the model again"):
        Bundle(copy)
