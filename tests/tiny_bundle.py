"""Makes small real bundles without torch: a random vector for each character, averaged.

Texts with many characters in common get similar vectors, so a test can predict the answer of a search.
"""

from pathlib import Path

import msgspec
import numpy as np
import onnx
import tokenizers
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from server.encoding.center import CENTER_FILE, centered
from server.encoding.encoder import PaddedEncoder
from server.encoding.golden import GOLDEN_FILE, GoldenText
from server.encoding.kind import Side, TextKind
from server.encoding.manifest import MANIFEST_FILE, SCHEMA_VERSION, Manifest, Prefixes, Source, TowerManifest, Weights
from server.encoding.segmenter import TOKENIZER_FILE
from server.encoding.session import OUTPUT
from server.encoding.tokenizer import Tokenizer
from server.encoding.tower import MODEL_FILE
from server.files import file_digest
from server.similarity import Similarity

ALPHABET = [chr(code) for code in (*range(0x21, 0x7F), *range(0xAC00, 0xD7A4))]
GOLDEN = ["search", "찾아", "find it", "두 낱말"]


def make_bundle(
    directory: Path,
    *,
    dimension: int = 32,
    max_tokens: int = 64,
    similarity: Similarity = "cosine",
    seed: int = 7,
    document_seed: int | None = None,
    document_max_tokens: int = 64,
    title_separator: str | None = None,
    center: NDArray[np.float32] | None = None,
) -> Path:
    """Writes a bundle whose tokens are characters; returns its directory.

    A `document_seed` gives it a second tower, with other vectors for the same characters.
    """

    def tower(side: Side, *, seed: int, max_tokens: int) -> TowerManifest:
        (directory / side.value).mkdir(parents=True)
        _write_tokenizer(directory / side.value / TOKENIZER_FILE)
        if center is not None:
            np.save(directory / side.value / CENTER_FILE, center)
        path = directory / side.value / MODEL_FILE
        _write_model(path, dimension=dimension, normalise=similarity == "cosine", seed=seed)
        return TowerManifest(
            pooling="mean",
            normalise=similarity == "cosine",
            max_tokens=max_tokens,
            layout="padded",
            quantization="none",
            source=Source(model=f"made in a test of {seed}", licence=None),
        )

    document = None
    if document_seed is not None:
        document = tower(Side.DOCUMENT, seed=document_seed, max_tokens=document_max_tokens)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name="tiny",
        revision="",
        dimension=dimension,
        similarity=similarity,
        prefixes=Prefixes(query="", title="", text="", example=""),
        weights=Weights(),
        title_separator=title_separator,
        query=tower(Side.QUERY, seed=seed, max_tokens=max_tokens),
        document=document,
        golden_cosine_floor=0.99,
        versions={},
        files={},
        report={},
    )
    (directory / GOLDEN_FILE).write_bytes(msgspec.json.encode(_golden(directory, manifest)))
    files = {str(path.relative_to(directory)): file_digest(path) for path in directory.rglob("*.*")}
    write_manifest(directory, msgspec.structs.replace(manifest, files=files))
    return directory


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Writes a manifest with the revision and the checksum that follow from it."""
    (directory / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest.sealed()))


def _golden(directory: Path, manifest: Manifest) -> list[GoldenText]:
    golden = []
    for kind in TextKind:
        folder = directory / (kind.side if kind.side in manifest.towers else Side.QUERY).value
        tokenizer = Tokenizer(
            folder / TOKENIZER_FILE,
            prefixes=manifest.prefixes.by_kind(),
            max_tokens=manifest.tower(kind.side).max_tokens,
        )
        tokens = tokenizer.tokenize([(text, kind) for text in GOLDEN])
        vectors = PaddedEncoder(folder / MODEL_FILE).encode([each.ids for each in tokens])
        if (center := folder / CENTER_FILE).is_file():
            vectors = centered(vectors, np.load(center))
        golden += [
            GoldenText(text=text, kind=kind, vector=vector.tolist())
            for text, vector in zip(GOLDEN, vectors, strict=True)
        ]
    return golden


def _write_tokenizer(path: Path) -> None:
    vocabulary = {"[UNK]": 0} | {character: number for number, character in enumerate(ALPHABET, start=1)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.WhitespaceSplit(),
            tokenizers.pre_tokenizers.Split(tokenizers.Regex("."), behavior="isolated"),
        ]
    )
    tokenizer.save(str(path))


def _write_model(path: Path, *, dimension: int, normalise: bool, seed: int) -> None:
    table = np.random.default_rng(seed).standard_normal((len(ALPHABET) + 1, dimension)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last_axis"], ["mask_column"]),
        helper.make_node("Mul", ["rows", "mask_column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "token_axis"], ["sum"], keepdims=0),
        helper.make_node("ReduceL2", ["sum", "last_axis"], ["length"], keepdims=1),
        helper.make_node("Div", ["sum", "length"], [OUTPUT])
        if normalise
        else helper.make_node("Identity", ["sum"], [OUTPUT]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["N", "L"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", dimension])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([-1], dtype=np.int64), "last_axis"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "token_axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
