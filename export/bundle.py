"""Writes a complete bundle, or nothing if the bundle misses a threshold and `force` is not set."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from export.candidate import Candidate, own_tokenizers, served_tokenizers
from export.center import Centering, measure_center
from export.cpu import cpu_name
from export.errors import ExportError, library_errors
from export.graphs import Graphs, open_graphs
from export.manifest import write_manifest
from export.model_card import model_card
from export.quality.comparison import Comparison
from export.quality.corpus import Corpus
from export.quality.exclusion import find_exclusions, matching
from export.quality.gate import Quality, Thresholds
from export.quality.probes import write_probes
from export.recipe import Recipe
from export.report import Report, Vocabulary
from export.sentences import GOLDEN_TEXTS
from export.speed import Speed, measure_speed
from export.staging import CARD_FILE, staged
from export.threads import one_thread_each
from export.towers import SourceTowers
from server.encoding.bundle import Bundle
from server.encoding.center import CENTER_FILE
from server.encoding.kind import Side, TextKind
from server.encoding.manifest import Manifest, Weights
from server.encoding.passages import Text, encodables_of
from server.encoding.tokenizer import Tokenizer
from server.encoding.tower import DATA_FILE, MODEL_FILE, WEIGHTS_FILE

GRAPH_FILES = (MODEL_FILE, WEIGHTS_FILE, DATA_FILE)
"""The files of a tower's graph; each layout has some of them."""

FAITHFUL_COSINE = 0.999
"""Minimum cosine of the fp32 graph's vectors to the original's: a lower one means that the export is wrong."""


@dataclass(frozen=True, kw_only=True)
class BundleOptions:
    """The options of a bundle.

    Attributes:
        recipe: The quantization options.
        corpus: The corpus for measuring quality, in addition to the golden texts.
        thresholds: The thresholds of quality.
        weights: The factors for the similarities of titles, texts and example queries.
        centering: Whether to subtract the center of the vectors.
        center_texts: The texts for measuring the center.
        exclude: Shell-style patterns of the products that stay in fp32.
        auto_exclude: Whether to find more such products if a threshold is missed.
        force: Whether to write the bundle even if a threshold is missed.
    """

    recipe: Recipe
    corpus: Corpus
    thresholds: Thresholds = field(default_factory=Thresholds)
    weights: Weights = field(default_factory=Weights)
    centering: Centering = "auto"
    center_texts: Sequence[str] = ()
    exclude: Sequence[str] = ()
    auto_exclude: bool = False
    force: bool = False


def write_bundle(
    source: SourceTowers, out: Path, options: BundleOptions, *, progress: Callable[[str], None]
) -> tuple[Manifest, Speed]:
    """Builds, measures and verifies the bundle of `source`, then moves it to `out`; returns its manifest and speed.

    An older bundle at `out` is replaced; anything else there is left alone. The same model and options give the same
    bytes, unless the CPU has other instructions or a library another version.

    Raises:
        ExportError: The model cannot be exported or misses a threshold, or `out` is not a bundle.
        BundleError: The bundle does not pass the server's check.
    """
    with one_thread_each(), staged(out) as directory:
        manifest, speed = _Maker(source, directory, options, progress).make()
        (directory / CARD_FILE).write_text(model_card(manifest), encoding="utf-8")
        progress("verifying the bundle with the server's check")
        Bundle(directory).verify()
    return manifest, speed


class _Maker:
    """Makes the bundle of a source in an empty directory; scratch files go to a directory next to it."""

    def __init__(
        self, source: SourceTowers, directory: Path, options: BundleOptions, progress: Callable[[str], None]
    ) -> None:
        self._source = source
        self._directory = directory
        self._options = options
        self._progress = progress
        self._scratch = directory.parent / "graphs"
        self._tokenizers = served_tokenizers(source, directory, _texts_of(source, options), progress=progress)
        self._graphs: dict[Side, Graphs] = {}

    def make(self) -> tuple[Manifest, Speed]:
        """Writes all files of the bundle and returns its manifest and speed."""
        # First, so that nothing that makes the graphs can change the model that they are compared with.
        self._measure_centers()
        self._progress("encoding the texts of the comparison with the original")
        comparison = Comparison(self._source, self._options.corpus, GOLDEN_TEXTS)
        for side, model in self._source.models.items():
            if len(self._source.models) > 1:
                self._progress(f"exporting the {side.value} tower, {model.origin}")
            scratch = self._scratch / side.value
            scratch.mkdir(parents=True)
            self._graphs[side] = open_graphs(model, scratch, self._options.recipe, progress=self._progress)
        excluded = matching(self._options.exclude, self._names)
        original = self._candidate(
            {side: graphs.fp32 for side, graphs in self._graphs.items()},
            own_tokenizers(self._source, self._scratch),
        )
        self._progress("comparing the fp32 graph with the original")
        _check_faithful(comparison, original)
        self._progress("quantizing and comparing" if self._names else "comparing")
        served = self._quantize(excluded)
        quality = comparison.measure(served.encode)
        missed = self._options.thresholds.missed(quality)
        if missed and self._options.auto_exclude and self._names:
            self._progress("thresholds missed (" + "; ".join(missed) + "): finding the products that cause it")
            excluded = self._more_excluded(comparison, excluded)
            served = self._quantize(excluded)
            quality = comparison.measure(served.encode)
            missed = self._options.thresholds.missed(quality)
        if missed and not self._options.force:
            raise ExportError(f"the bundle misses thresholds: {'; '.join(missed)}; {self._advice()}")
        write_probes(self._directory, served.encode)
        self._progress("measuring the speed")
        speed = measure_speed(original, served, comparison.golden)
        report = Report(
            cpu=cpu_name(),
            encoder=served.encoder_name,
            fp32_bytes=self._graph_bytes(self._scratch),
            served_bytes=self._graph_bytes(self._directory),
            quality=quality,
            excluded=excluded,
            missed=missed,
            vocabularies=self._vocabularies(),
        )
        manifest = write_manifest(
            self._directory,
            self._source,
            graphs=self._graphs,
            weights=self._options.weights,
            comparison=comparison,
            served=served,
            report=report,
        )
        return manifest, speed

    def _measure_centers(self) -> None:
        """Measures the center of each tower, and writes the centers that will be subtracted."""
        for side, model in self._source.models.items():
            center = measure_center(model, side, self._options.center_texts, self._options.centering)
            if center is not None:
                self._source.centers[side] = center
                np.save(self._directory / side.value / CENTER_FILE, center)

    @property
    def _names(self) -> list[str]:
        """Names of the products that can be quantized; with two towers, each begins with its tower's name."""
        return [self._full_name(side, name) for side, graphs in self._graphs.items() for name in graphs.names]

    def _full_name(self, side: Side, name: str) -> str:
        return f"{side.value}/{name}" if len(self._graphs) > 1 else name

    def _candidate(self, paths: dict[Side, Path], tokenizers: dict[Side, Tokenizer]) -> Candidate:
        graphs = {side: (path, self._graphs[side].layout) for side, path in paths.items()}
        return Candidate(self._source, graphs, tokenizers)

    def _quantize(self, excluded: Collection[str]) -> Candidate:
        """Writes the served graphs into the bundle, replacing earlier ones."""
        paths = {}
        for side, graphs in self._graphs.items():
            fresh, folder = self._scratch / f"{side.value}-fresh", self._directory / side.value
            fresh.mkdir()
            path = graphs.quantize(fresh, [name for name in graphs.names if self._full_name(side, name) in excluded])
            for name in GRAPH_FILES:
                (folder / name).unlink(missing_ok=True)
                if path.with_name(name).is_file():
                    shutil.copyfile(path.with_name(name), folder / name)
            shutil.rmtree(fresh)
            paths[side] = folder / MODEL_FILE
        return self._candidate(paths, self._tokenizers)

    def _more_excluded(self, comparison: Comparison, excluded: list[str]) -> list[str]:
        """Returns the products to leave in fp32 to reach the thresholds, or `excluded` if nothing helps."""

        def measure(left_out: Collection[str]) -> Quality:
            return comparison.measure(self._quantize(left_out).encode)

        more = find_exclusions(
            self._names,
            excluded=excluded,
            score=lambda left_out: comparison.quick_score(self._quantize(left_out).encode),
            passes=lambda left_out: not self._options.thresholds.missed(measure(left_out)),
            progress=self._progress,
        )
        if more is None:
            self._progress("leaving a third of all products in fp32 is not enough")
            return excluded
        return [name for name in self._names if name in (*excluded, *more)]

    def _vocabularies(self) -> dict[Side, Vocabulary]:
        return {
            side: Vocabulary(kept=len(model.trimmed.kept_ids), total=model.trimmed.total)
            for side, model in self._source.models.items()
            if model.trimmed is not None
        }

    def _advice(self) -> str:
        ways = ["--force writes it anyway"]
        if self._names:
            ways.insert(0, "--quantization none keeps fp32")
            if not self._options.auto_exclude:
                ways.insert(0, "--auto-exclude finds the products that cause it")
        return ", ".join(ways)

    def _graph_bytes(self, root: Path) -> int:
        paths = [root / side.value / name for side in self._graphs for name in GRAPH_FILES]
        return sum(path.stat().st_size for path in paths if path.is_file())


def _texts_of(source: SourceTowers, options: BundleOptions) -> list[Text]:
    """Returns all golden, corpus and calibration texts, with their kinds."""
    separator = source.model(Side.DOCUMENT).title_separator
    return [
        *GOLDEN_TEXTS,
        *((each.query, TextKind.QUERY) for each in options.corpus.queries),
        *(each.text for document in options.corpus.documents for each in encodables_of(document, separator)),
        *((text, TextKind.QUERY) for text in options.recipe.calibration),
    ]


def _check_faithful(comparison: Comparison, original: Candidate) -> None:
    """Raises ExportError if the fp32 graph and the original give different vectors."""
    with library_errors("the exported graph fails; the model's architecture cannot be exported"):
        faithful = comparison.worst_cosine(original.encode)
    if not faithful >= FAITHFUL_COSINE:
        raise ExportError(
            f"the exported graph differs from the model: in fp32, its worst cosine to the original is {faithful:.4f}"
        )
