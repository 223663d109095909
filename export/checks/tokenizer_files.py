"""Finds the cause if a model has no tokenizer that can be read."""

from __future__ import annotations

from pathlib import Path

from export.checks.model_files import ModelFiles, refuse_pointer
from export.errors import ExportError, library_errors

TOKENIZER_FILE = "tokenizer.json"

VOCABULARY_FILES = ("vocab*", "*.model", "tokenizer*.json")
"""Patterns of the files from which transformers makes a tokenizer if there is no tokenizer.json."""


def check_tokenizer_files(files: ModelFiles, folder: str) -> None:
    """Raises ExportError if the directory's tokenizer in `folder` is missing, empty or a Git LFS pointer."""
    if files.directory is None:
        return
    place = files.directory / folder
    found = [place / TOKENIZER_FILE] if (place / TOKENIZER_FILE).is_file() else _vocabularies(place)
    if not found:
        raise ExportError(
            f"{files.place} has no tokenizer ({folder}{TOKENIZER_FILE}): if it is a text encoder, save its tokenizer "
            "there"
        )
    for path in found:
        refuse_pointer(path)
        if not path.stat().st_size:
            raise ExportError(f"{path} is empty: download it again")


def explain_tokenizer(files: ModelFiles, folder: str) -> None:
    """Raises ExportError with the cause if the tokenizer of a directory cannot be opened.

    sentence-transformers opens a tokenizer as one of several kinds of processors, and reports only that none fits.
    """
    import tokenizers
    import transformers

    if files.directory is None:
        return
    place = files.directory / folder
    if (place / TOKENIZER_FILE).is_file():
        with library_errors(f"{place / TOKENIZER_FILE} is damaged or no tokenizer"):
            tokenizers.Tokenizer.from_file(str(place / TOKENIZER_FILE))
        try:
            transformers.AutoConfig.from_pretrained(str(place), trust_remote_code=False)
        except Exception:  # Opening the tokenizer needs config.json, which is the cause then.
            return
    elif not (files.settings(f"{folder}tokenizer_config.json") or {}).get("tokenizer_class"):
        names = ", ".join(path.name for path in _vocabularies(place))
        raise ExportError(
            f"{files.place} does not say which tokenizer its {names} is for: set tokenizer_class in "
            f"{folder}tokenizer_config.json, as in the model's original (XLMRobertaTokenizer for "
            "sentencepiece.bpe.model)"
        )
    with library_errors(f"cannot open the tokenizer of {files.place}"):
        transformers.AutoTokenizer.from_pretrained(str(place), trust_remote_code=False)


def _vocabularies(folder: Path) -> list[Path]:
    found = {path for pattern in VOCABULARY_FILES for path in folder.glob(pattern) if path.is_file()}
    return sorted(found - {folder / "tokenizer_config.json"})
