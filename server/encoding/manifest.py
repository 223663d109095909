"""The manifest of a bundle. `python -m export` writes it, the server reads it.

The revision is a hash of the files and of every field that a vector or a score depends on. So equal revisions mean
equal vectors, except for rounding that differs between the native encoder and ONNX Runtime. A bundle that cuts texts
otherwise than by default has another revision.
"""

import hashlib
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from server.encoding.cutting import DEFAULT_CUTTING, Cutting
from server.encoding.kind import Side, TextKind
from server.errors import BundleError
from server.files import file_digest
from server.programs import EXPORTER
from server.similarity import Similarity

SCHEMA_VERSION = 3
MANIFEST_FILE = "manifest.json"

Pooling = Literal["mean", "cls", "lasttoken", "other"]
Layout = Literal["padded", "packed"]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Origin of the model: a hub id or a directory's name, and its licence if the model states one."""

    model: str
    licence: str | None


class TowerManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Describes one encoder of a bundle.

    The graph's inputs depend on `layout` (see `server.encoding.encoder` and `packed`). Its output is pooled vectors in
    float32, of unit length if `normalise`; the bundle uses their first `dimension` numbers. `pooling`, `quantization`
    and `source` only inform people.
    """

    pooling: Pooling
    normalise: bool
    max_tokens: int
    layout: Layout
    quantization: str
    source: Source


class Prefixes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The text that is put before each text of a kind."""

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
    """Describes a bundle; the server needs no other facts about the model.

    `query` is the tower that encodes queries. `document` is the tower that encodes documents, None if `query` encodes
    both. The files of a tower are in the folder of its name. With a `title_separator`, a document's title and the
    separator are put before its text. `weights` are the factors of the fields' similarities. `files` maps the path of
    each file in the bundle to its SHA-256. For people, `languages` lists the codes that the vocabulary was trimmed to,
    None if it is whole, and `report` holds the measurements of the export (`export.report`).
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
        """The towers by side; a single tower is on the side of queries."""
        towers = {Side.QUERY: self.query, Side.DOCUMENT: self.document}
        return {side: tower for side, tower in towers.items() if tower is not None}

    @property
    def quantization(self) -> str:
        """Quantization of the weights; both if the towers differ."""
        return ", ".join(dict.fromkeys(tower.quantization for tower in self.towers.values()))

    def tower(self, side: Side) -> TowerManifest:
        """Returns the tower that encodes the texts of a side."""
        return self.towers.get(side, self.query)

    def computed_revision(self) -> str:
        """Returns the revision computed from the other fields."""
        towers = [self.tower(side) for side in Side]
        fields = [self.files, self.prefixes, self.weights, self.title_separator, self.similarity]
        parts = [*fields, self.golden_cosine_floor, [(tower.max_tokens, tower.layout) for tower in towers]]
        return _digest(parts)

    def revised(self, cutting: Cutting) -> Self:
        """Returns the manifest of the model when it cuts texts in this way, whose vectors have their own revision."""
        if cutting == DEFAULT_CUTTING:
            return self
        return msgspec.structs.replace(self, revision=_digest([self.revision, *cutting]))

    def sealed(self) -> Self:
        """Returns the manifest with the revision and the checksum computed from the other fields."""
        revised = msgspec.structs.replace(self, revision=self.computed_revision(), checksum="")
        return msgspec.structs.replace(revised, checksum=_digest(revised))


def read_manifest(directory: Path, *, cutting: Cutting = DEFAULT_CUTTING) -> Manifest:
    """Reads the manifest of a bundle, and no other file. Raises BundleError if it is missing, damaged or changed.

    Its revision is that of a bundle that cuts texts as `cutting` says.
    """
    path = directory / MANIFEST_FILE
    if not path.is_file():
        raise BundleError(f"{directory} is not a bundle: it has no {MANIFEST_FILE}; make one with {EXPORTER}")
    try:
        fields = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        version = fields.get("schema_version")
        if version != SCHEMA_VERSION:
            raise BundleError(
                f"{path} has schema version {version}; this server reads {SCHEMA_VERSION}: export the model again"
            )
        manifest = msgspec.convert(fields, Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{path} cannot be read: {error}; export the model again") from None
    if manifest.sealed() != manifest:
        raise BundleError(f"{path} was changed after the export; export the model again")
    return manifest.revised(cutting)


def check_files(directory: Path, manifest: Manifest) -> None:
    """Raises BundleError if a file of the bundle in `directory` is missing or does not match its digest."""
    for name, digest in manifest.files.items():
        try:
            intact = file_digest(directory / name) == digest
        except OSError:
            intact = False
        if not intact:
            raise BundleError(f"{directory / name} is missing or damaged; copy the bundle or export the model again")


def _digest(fields: object) -> str:
    return hashlib.sha256(msgspec.json.encode(fields, order="sorted")).hexdigest()[:16]
