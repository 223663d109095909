"""Writes a bundle: all of it or nothing, and only if it is good enough."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from export.candidate import Candidate, open_tokenizers
from export.cpu import cpu_name
from export.errors import ExportError, library_errors
from export.graphs import Graphs, open_graphs
from export.manifest import write_manifest
from export.model_card import model_card
from export.quality.comparison import Comparison
from export.quality.corpus import Corpus
from export.quality.exclusion import find_exclusions, matching
from export.quality.gate import Quality, Thresholds
from export.recipe import Recipe
from export.report import Report
from export.sentences import GOLDEN_TEXTS
from export.speed import texts_per_second
from export.staging import CARD_FILE, staged
from export.towers import SourceTowers
from server.encoding.bundle import Bundle
from server.encoding.golden import cosines
from server.encoding.manifest import Manifest
from server.encoding.passages import Text, encodables_of
from server.encoding.tokenizer import TextKind
from server.encoding.tower import MODEL_FILE, WEIGHTS_FILE

FAITHFUL_COSINE = 0.999
"""What a graph before quantization must reach: it is the same model."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a bundle shall be.

    Attributes:
        recipe: How the model is quantized.
        corpus: What quality is measured on, beside the golden texts.
        thresholds: What quality must reach.
        exclude: Shell-style patterns of the products that are left in fp32.
        auto_exclude: Whether to look for more of them when a threshold is missed.
        force: Whether to write the bundle even so.
    """

    recipe: Recipe
    corpus: Corpus
    thresholds: Thresholds = field(default_factory=Thresholds)
    exclude: Sequence[str] = ()
    auto_exclude: bool = False
    force: bool = False


def write_bundle(source: SourceTowers, out: Path, wish: Wish, *, progress: Callable[[str], None]) -> Manifest:
    """Builds, measures and verifies `source`, then puts the bundle at `out`.

    An older bundle at `out` is replaced; anything else there is left alone.

    Raises:
        ExportError: The model cannot be exported, is not good enough, or `out` is taken.
        BundleError: The bundle does not pass the server's own check.
    """
    with staged(out) as directory:
        maker = _Maker(source, directory, wish, progress)
        manifest = maker.make()
        (directory / CARD_FILE).write_text(model_card(manifest), encoding="utf-8")
        progress("verifying the bundle as the server will")
        Bundle(directory).verify()
    return manifest


class _Maker:
    """Makes the bundle of a source in an empty directory; scratch files go beside it."""

    def __init__(self, source: SourceTowers, directory: Path, wish: Wish, progress: Callable[[str], None]) -> None:
        self._source = source
        self._directory = directory
        self._wish = wish
        self._progress = progress
        self._scratch = directory.parent / "graphs"
        self._tokenizers = open_tokenizers(source, directory, _texts_of(source, wish), progress=progress)
        self._graphs: dict[TextKind, Graphs] = {}

    def make(self) -> Manifest:
        """Returns the manifest of the bundle, which then is whole."""
        for kind, model in self._source.models.items():
            if len(self._source.models) > 1:
                self._progress(f"turning to the {kind.value} tower, {model.origin}")
            scratch = self._scratch / kind.value
            scratch.mkdir(parents=True)
            self._graphs[kind] = open_graphs(model, scratch, self._wish.recipe, progress=self._progress)
        excluded = matching(self._wish.exclude, self._names)
        self._progress("encoding the texts to compare by with the original")
        comparison = Comparison(self._source, self._wish.corpus, GOLDEN_TEXTS)
        original = self._candidate({kind: graphs.fp32 for kind, graphs in self._graphs.items()})
        _check_faithful(comparison, original)
        self._progress("quantizing and comparing" if self._names else "comparing")
        served = self._quantize(excluded)
        quality = comparison.measure(served.encode)
        missed = self._wish.thresholds.missed(quality)
        if missed and self._wish.auto_exclude and self._names:
            self._progress("not good enough (" + "; ".join(missed) + "): looking for the products that hurt")
            excluded = self._more_excluded(comparison, excluded)
            served = self._quantize(excluded)
            quality = comparison.measure(served.encode)
            missed = self._wish.thresholds.missed(quality)
        if missed and not self._wish.force:
            raise ExportError(f"the bundle is not good enough: {'; '.join(missed)}; {self._advice()}")
        self._progress("measuring its speed")
        rates = texts_per_second({"fp32": original, "served": served}, comparison.golden)
        report = Report(
            cpu=cpu_name(),
            encoder=served.encoder_name,
            fp32_bytes=self._graph_bytes(self._scratch),
            served_bytes=self._graph_bytes(self._directory),
            fp32_texts_per_second=rates["fp32"],
            served_texts_per_second=rates["served"],
            quality=quality,
            excluded=excluded,
            missed=missed,
        )
        return write_manifest(
            self._directory, self._source, graphs=self._graphs, comparison=comparison, served=served, report=report
        )

    @property
    def _names(self) -> list[str]:
        """What can be left out of quantization; behind the name of its tower where there are two."""
        return [self._full_name(kind, name) for kind, graphs in self._graphs.items() for name in graphs.names]

    def _full_name(self, kind: TextKind, name: str) -> str:
        return f"{kind.value}/{name}" if len(self._graphs) > 1 else name

    def _candidate(self, paths: dict[TextKind, Path]) -> Candidate:
        graphs = {kind: (path, self._graphs[kind].layout) for kind, path in paths.items()}
        return Candidate(self._source, graphs, self._tokenizers)

    def _quantize(self, excluded: Collection[str]) -> Candidate:
        """Writes the graphs to serve into the bundle, in the place of those that are there."""
        paths = {}
        for kind, graphs in self._graphs.items():
            fresh, folder = self._scratch / f"{kind.value}-fresh", self._directory / kind.value
            fresh.mkdir()
            path = graphs.quantize(fresh, [name for name in graphs.names if self._full_name(kind, name) in excluded])
            for name in (MODEL_FILE, WEIGHTS_FILE):
                (folder / name).unlink(missing_ok=True)
                if path.with_name(name).is_file():
                    shutil.copyfile(path.with_name(name), folder / name)
            shutil.rmtree(fresh)
            paths[kind] = folder / MODEL_FILE
        return self._candidate(paths)

    def _more_excluded(self, comparison: Comparison, excluded: list[str]) -> list[str]:
        """Returns what to leave out to pass the gate, or `excluded` if nothing helps."""

        def measure(left_out: Collection[str]) -> Quality:
            return comparison.measure(self._quantize(left_out).encode)

        more = find_exclusions(
            self._names,
            excluded=excluded,
            score=lambda left_out: comparison.quick_score(self._quantize(left_out).encode),
            passes=lambda left_out: not self._wish.thresholds.missed(measure(left_out)),
            progress=self._progress,
        )
        if more is None:
            self._progress("leaving a third of all products in fp32 is not enough")
            return excluded
        return [name for name in self._names if name in (*excluded, *more)]

    def _advice(self) -> str:
        ways = ["--force writes it even so"]
        if self._names:
            ways.insert(0, "--quantization none keeps fp32")
            if not self._wish.auto_exclude:
                ways.insert(0, "--auto-exclude looks for the layers that hurt")
        return ", ".join(ways)

    def _graph_bytes(self, root: Path) -> int:
        paths = [root / kind.value / name for kind in self._graphs for name in (MODEL_FILE, WEIGHTS_FILE)]
        return sum(path.stat().st_size for path in paths if path.is_file())


def _texts_of(source: SourceTowers, wish: Wish) -> list[Text]:
    """Returns all texts at hand, as the model will see such."""
    separator = source.model(TextKind.DOCUMENT).title_separator
    return [
        *GOLDEN_TEXTS,
        *((each.query, TextKind.QUERY) for each in wish.corpus.queries),
        *(each.text for document in wish.corpus.documents for each in encodables_of(document, separator)),
        *((text, TextKind.QUERY) for text in wish.recipe.calibration),
    ]


def _check_faithful(comparison: Comparison, original: Candidate) -> None:
    """Raises ExportError if the fp32 graph is another model than the original."""
    with library_errors("the graph made of the model fails; its architecture cannot be exported"):
        vectors = original.encode(comparison.golden)
    faithful = float(cosines(vectors, comparison.reference).min())
    if not faithful >= FAITHFUL_COSINE:
        raise ExportError(
            f"the graph does not compute what the model does: in fp32, worst cosine {faithful:.4f} to the original"
        )
