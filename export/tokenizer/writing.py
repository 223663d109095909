"""Writes the tokenizer of a tower into the bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import sentencepiece
import tokenizers

from export.tokenizer.agreement import disagreement
from export.tokenizer.sentencepiece_model import NotExpressible, sentencepiece_model
from server.encoding.segmenter import SENTENCEPIECE_FILE


def prefer_sentencepiece(path: Path, texts: Iterable[str], *, progress: Callable[[str], None]) -> Path:
    """Replaces a tokenizer.json with a sentencepiece model that gives the same tokens; returns the resulting file.

    Args:
        path: The tokenizer.json. It stays if sentencepiece lacks a feature of it or segments a text differently.
        texts: The texts for comparing the two, with their prefixes.
        progress: Called with the reason if tokenizer.json stays.
    """
    tokenizer = msgspec.json.decode(path.read_bytes())
    if tokenizer["model"].get("type") != "Unigram":
        return path
    kept = "keeping tokenizer.json, which loads more slowly than a sentencepiece model"
    processor = sentencepiece.SentencePieceProcessor()
    try:
        content = sentencepiece_model(tokenizer)
        processor.LoadFromSerializedProto(content)
    except NotExpressible as error:
        progress(f"{kept}: sentencepiece does not support {error}")
        return path
    except Exception as error:  # The library has no common base for its errors.
        progress(f"{kept}: sentencepiece rejects the vocabulary ({error})")
        return path
    differing = disagreement(tokenizers.Tokenizer.from_file(str(path)), processor, texts)
    if differing is not None:
        progress(f"{kept}: sentencepiece segments {differing[:40]!r} differently")
        return path
    path.unlink()
    written = path.with_name(SENTENCEPIECE_FILE)
    written.write_bytes(content)
    return written
