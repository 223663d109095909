"""Data sets to measure retrieval on, as the exporter's evaluation reads them."""

from dataclasses import replace
from pathlib import Path

from export.evaluation.judged import JudgedSet
from export.evaluation.reading import TRAIN, read_beir_set, read_catalogue_set
from export.quality.corpus import SAMPLE


def beir_set(directory: Path, split: str) -> JudgedSet:
    """Reads a set in BEIR's layout; the questions of its split `train`, if it has one, are labels.

    Raises:
        ExportError: A file is missing or malformed.
        CatalogueError: A line of a JSONL file is invalid.
    """
    has_labels = split != TRAIN and (directory / f"qrels/{TRAIN}.tsv").is_file()
    return read_beir_set(directory, split=split, labels=TRAIN if has_labels else None)


def sample_set() -> JudgedSet:
    """Reads the sample catalogue and its labelled queries."""
    return replace(read_catalogue_set(SAMPLE / "catalogue.jsonl", SAMPLE / "queries.jsonl"), name="sample")
