"""Turns the flags of an export into the models and the options of its bundle."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from export.bundle import BundleOptions
from export.calibration import calibration_texts
from export.opening import opening_step
from export.options import chosen_weights, given_prefixes
from export.packaged.models import PackagedModel, find_packaged
from export.quality.corpus import Corpus
from export.recipe import CALIBRATED, Recipe
from export.source import SourceModel
from export.towers import SourceTowers
from server.encoding.manifest import Weights


def bundle_options(options: argparse.Namespace, corpus: Corpus) -> BundleOptions:
    """Returns the options of a bundle whose quality is measured on a corpus.

    Raises:
        ExportError: The file of calibration texts cannot be used.
    """
    packaged = _packaged(options)
    texts = calibration_texts(options.calibration)
    return BundleOptions(
        recipe=Recipe(
            quantization=options.quantization,
            preset=options.preset,
            calibration=texts if options.quantization in CALIBRATED else (),
        ),
        corpus=corpus,
        thresholds=options.thresholds,
        weights=chosen_weights(options, packaged.weights if packaged else Weights()),
        centering=options.center,
        center_texts=texts,
        exclude=options.exclude,
        auto_exclude=options.auto_exclude,
        force=options.force,
    )


def open_towers(
    options: argparse.Namespace, progress: Callable[[str], None], *, second: str | None = None
) -> SourceTowers:
    """Opens the models. `second` names the model of documents if `--document-model` does not.

    Raises:
        ExportError: A model does not exist, or cannot become a bundle.
    """
    packaged = _packaged(options)
    languages = options.languages if options.languages is not None else packaged.languages if packaged else ()

    def open_source(model: str | None) -> SourceModel:
        return SourceModel(
            model,
            name=options.name,
            prefixes=given_prefixes(options),
            languages=languages,
            max_tokens=options.max_tokens,
            dimensions=options.dimensions,
        )

    progress(opening_step(options.model))
    document_model = options.document_model or second
    document = None if document_model is None else open_source(document_model)
    return SourceTowers(open_source(options.model), document)


def _packaged(options: argparse.Namespace) -> PackagedModel | None:
    return find_packaged(options.model) if options.document_model is None else None
