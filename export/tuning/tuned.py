"""Makes the bundle of a model that was trained on some of the labels."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from export.bundle import write_bundle
from export.errors import ExportError
from export.evaluation.judged import JudgedQuery
from export.evaluation.reading import chosen, some
from export.labelled_queries import LabelledQuery
from export.making import bundle_options, open_towers
from export.packaged.models import DEFAULT_MODEL
from export.quality.corpus import MAX_DOCUMENTS, MAX_QUERIES, Corpus
from export.towers import SourceTowers
from export.tuning.development import MEASURE, Development
from export.tuning.folder import TrainingFolder, digest_of
from export.tuning.labels import Labels, parted, without_examples
from export.tuning.negatives import hard_negatives
from export.tuning.pair_model import PairModel
from export.tuning.pairs import Pair, make_pairs
from export.tuning.query_model import QueryModel
from export.tuning.scores import Trained
from export.tuning.towers import ModelOptions, TrainedTowers
from export.tuning.training import Diverged, TrainingOptions, train
from server.catalogue.document import Document
from server.encoding.kind import Side


class Tuning:
    """Trainings with several numbers of the same labels, each from the same model."""

    def __init__(
        self, options: argparse.Namespace, labels: Labels, counts: Sequence[int], progress: Callable[[str], None]
    ) -> None:
        """Creates the folder of checkpoints, or opens it with `--resume`.

        Raises:
            ExportError: The folder exists, or with `--resume` has no training with these flags and labels.
        """
        self._options = options
        self._labels = labels
        self._last = counts[-1]
        self._progress = progress
        self._training = TrainingOptions(
            epochs=options.epochs,
            batch=options.batch,
            learning_rate=options.learning_rate,
            evaluate_steps=options.evaluate_steps,
            patience=options.patience,
            seed=options.seed,
        )
        self._bundle = bundle_options(options, _corpus(labels))
        self.folder = TrainingFolder(options.checkpoints)
        self.folder.begin(self._settings(counts), resume=options.resume)

    def write_before(self, out: Path) -> None:
        """Writes the bundle of the model before."""
        write_bundle(open_towers(self._options, self._progress), out, self._bundle, progress=self._progress)

    def write(self, count: int, out: Path) -> Trained:
        """Trains with the first labels, and writes the bundle.

        Raises:
            ExportError: The training diverges, or with all labels it does not help; or as `write_bundle`.
        """
        labels = self._labels.first(count)
        parts = parted(labels.labels, share=self._options.dev_share)
        measured = [*parts.development, *labels.judged.queries]
        labels = replace(labels, documents=without_examples(labels.documents, measured))
        second = self._options.model or DEFAULT_MODEL.name if self._options.towers != "one" else None
        source = open_towers(self._options, self._progress, second=second)
        folder = self.folder.part(str(count))
        model = self._model(source, labels.documents)
        development = Development(
            source, labels.documents, parts.development, documents_change=Side.DOCUMENT in model.sides
        )
        try:
            scores = train(
                model,
                lambda: self._pairs(source, labels, parts.training),
                development,
                self._training,
                folder,
                progress=self._progress,
            )
        except Diverged:
            self.folder.remove()  # Nothing in it is worth a resumption.
            raise
        if count == self._last and not scores.after > scores.before and not self._options.force:
            raise ExportError(
                f"the training does not help: {MEASURE} of the development part is {scores.before:.3f} before and "
                f"{scores.after:.3f} after it; add labels or change --learning-rate, or --resume --force writes the "
                "bundle anyway"
            )
        for side, tower in source.models.items():
            if side in model.sides:
                tower.origin += f", tuned on {count:,} labels of {labels.name}"
            tower.name = self._options.name or f"{tower.name}-tuned"
        write_bundle(source, out, self._bundle, progress=self._progress)
        return scores

    def _model(self, source: SourceTowers, documents: Sequence[Document]) -> TrainedTowers:
        options = self._options
        choices = ModelOptions(
            scale=options.scale,
            train_embeddings=options.embeddings == "trained",
            max_tokens=options.train_tokens,
        )
        if options.towers == "query":
            return QueryModel(source, documents, choices)
        return PairModel(source, choices, symmetric=options.loss == "symmetric")

    def _pairs(self, source: SourceTowers, labels: Labels, training: Sequence[JudgedQuery]) -> list[Pair]:
        options = self._options
        negatives = None
        if options.negatives:
            negatives = hard_negatives(
                source,
                training,
                labels.documents,
                count=options.negatives,
                kinds=options.negatives_from,
                margin=options.negative_margin,
                progress=self._progress,
            )
        separator = source.model(Side.DOCUMENT).title_separator
        return make_pairs(training, labels.documents, title_separator=separator, negatives=negatives)

    def _settings(self, counts: Sequence[int]) -> dict[str, object]:
        """Returns what a training depends on, by the names of the flags where there is one."""
        options, labels = self._options, self._labels
        names = ["model", "document_model", "towers", "embeddings", "loss", "negatives", "negatives_from"]
        names += ["negative_margin", "epochs", "batch", "learning_rate", "scale", "train_tokens", "evaluate_steps"]
        names += ["patience", "seed", "dev_share", "max_tokens", "dimensions"]
        names += [name for name in vars(options) if name.endswith("_prefix")]
        settings = {f"--{name.replace('_', '-')}": getattr(options, name) for name in names}
        digest = digest_of([[each.text, sorted(each.grades)] for each in labels.labels])
        documents = digest_of([msgspec.to_builtins(each) for each in labels.documents])
        return settings | {"labels": digest, "documents": documents, "counts": counts}


def _corpus(labels: Labels) -> Corpus:
    """Returns the documents and queries on which the gate compares the bundle with the fp32 model."""
    queries = some(list(labels.judged.queries), MAX_QUERIES)
    documents = chosen(labels.documents, queries, MAX_DOCUMENTS)
    return Corpus(
        labels.judged.name,
        [msgspec.structs.replace(each, examples=[]) if each.title or each.text else each for each in documents],
        [LabelledQuery(query=each.text, language=each.language, relevant=list(each.grades)) for each in queries],
    )
