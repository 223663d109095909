"""The manifest: what a bundle says about itself. `python -m export` writes it, the server reads it.

The revision is a hash over the files and over every field that a vector or a score depends on, so equal revisions mean
equal vectors, but for the rounding of the encoder that runs them (native or ONNX Runtime).
"""

import hashlib
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from server.encoding.kind import Side, TextKind
from server.errors import BundleError
from server.files import file_digest
from server.similarity import Similarity

SCHEMA_VERSION = 3
MANIFEST_FILE = "manifest.json"

Pooling = Literal["mean", "cls", "lasttoken", "other"]
Layout = Literal["padded", "packed"]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where the model comes from: a hub id or a directory's name, and its licence if it states one."""

    model: str
    licence: str | None


class TowerManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Describes one encoder of a bundle.

    The inputs of the graph depend on `layout` (see `server.encoding.encoder` and `packed`); it gives pooled vectors
    float32 `[N, dimension]`, of unit length if `normalise`. `pooling`, `quantization` and `source` are for people.
    """

    pooling: Pooling
    normalise: bool
    max_tokens: int
    layout: Layout
    quantization: str
    source: Source


class Prefixes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The text that is put before every text of a kind."""

    query: str
    title: str
    text: str
    example: str

    def of(self, kind: TextKind) -> str:
        """Returns the prefix of a kind of text."""
        return str(getattr(self, kind.value))

    def by_kind(self) -> dict[TextKind, str]:
        """Returns the prefix of each kind of text."""
        return {kind: self.of(kind) for kind in TextKind}


class Weights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The factors of the similarities of titles, texts and example queries."""

    title: float = 1.0
    text: float = 1.0
    example: float = 1.0


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Describes a bundle; the server needs nothing else about the model.

    `query` is the tower that encodes queries, `document` the one that encodes documents, None if `query` does both.
    Each has its files in the folder of its name. Where there is a `title_separator`, a document's text is encoded after
    its title and this. `languages` are the codes that the vocabulary was trimmed to, for people; None if it is whole.
    `weights` are the factors of the fields' similarities. `files` maps each file, relative to the
    bundle, to its SHA-256. `report` is what the export measured, for people (`export.report`).
    """

    schema_version: int
    name: str
    revision: str
    dimension: int
    similarity: Similarity
    prefixes: Prefixes
    weights: Weights
    title_separator: str | None
    query: TowerManifest
    document: TowerManifest | None
    golden_cosine_floor: float
    versions: dict[str, str]
    files: dict[str, str]
    report: dict[str, Any]
    languages: list[str] | None = None
    checksum: str = ""

    @property
    def towers(self) -> dict[Side, TowerManifest]:
        """The towers by their side; a single one stands on the side of queries."""
        towers = {Side.QUERY: self.query, Side.DOCUMENT: self.document}
        return {side: tower for side, tower in towers.items() if tower is not None}

    @property
    def quantization(self) -> str:
        """How the weights of the towers are stored; both where they differ."""
        return ", ".join(dict.fromkeys(tower.quantization for tower in self.towers.values()))

    def tower(self, side: Side) -> TowerManifest:
        """Returns the tower that encodes the texts of a side."""
        return self.towers.get(side, self.query)

    def computed_revision(self) -> str:
        """Returns the revision that follows from the other fields."""
        towers = [self.tower(side) for side in Side]
        fields = [self.files, self.prefixes, self.weights, self.title_separator, self.similarity]
        parts = [*fields, self.golden_cosine_floor, [(tower.max_tokens, tower.layout) for tower in towers]]
        return _digest(parts)

    def sealed(self) -> Self:
        """Returns the manifest with the revision and the checksum that follow from the other fields."""
        revised = msgspec.structs.replace(self, revision=self.computed_revision(), checksum="")
        return msgspec.structs.replace(revised, checksum=_digest(revised))


def read_manifest(directory: Path) -> Manifest:
    """Reads the manifest of the bundle in `directory`; fast, since it leaves the files alone.

    Raises:
        BundleError: There is no bundle, or its manifest is damaged, changed or of another schema.
    """
    path = directory / MANIFEST_FILE
    if not path.is_file():
        raise BundleError(f"{directory} is not a bundle: it has no {MANIFEST_FILE}; make one with python -m export")
    try:
        data = path.read_bytes()
        version = msgspec.json.decode(data, type=_Versioned).schema_version
        if version != SCHEMA_VERSION:
            raise BundleError(
                f"{path} has schema version {version}, this server reads {SCHEMA_VERSION}: export the model again"
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{path} cannot be read: {error}; export the model again") from None
    if manifest.sealed() != manifest:
        raise BundleError(f"{path} was changed after the export; export the model again")
    return manifest


def check_files(directory: Path, manifest: Manifest) -> None:
    """Raises BundleError if a file of the bundle in `directory` is not the one that its manifest names."""
    for name, digest in manifest.files.items():
        try:
            intact = file_digest(directory / name) == digest
        except OSError:
            intact = False
        if not intact:
            raise BundleError(f"{directory / name} is missing or damaged; export the model again or copy it anew")


def _digest(fields: object) -> str:
    return hashlib.sha256(msgspec.json.encode(fields, order="sorted")).hexdigest()[:16]


class _Versioned(msgspec.Struct):
    """The one field that every schema version has."""

    schema_version: int
