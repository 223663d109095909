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
    """Puts a sentencepiece model in the place of a tokenizer.json if it gives the same tokens; returns what is there.

    Args:
        path: The tokenizer.json. It stays where only its own library can do what it says.
        texts: What the two are compared on, as the model sees them.
        progress: Is told what stays and why.
    """
    tokenizer = msgspec.json.decode(path.read_bytes())
    if tokenizer["model"].get("type") != "Unigram":
        return path
    kept = "keeping tokenizer.json, which the server loads more slowly than a sentencepiece model"
    processor = sentencepiece.SentencePieceProcessor()
    try:
        content = sentencepiece_model(tokenizer)
        processor.LoadFromSerializedProto(content)
    except NotExpressible as error:
        progress(f"{kept}: sentencepiece does not have {error}")
        return path
    except Exception as error:  # The library has no common base for its errors.
        progress(f"{kept}: sentencepiece does not take the vocabulary ({error})")
        return path
    differing = disagreement(tokenizers.Tokenizer.from_file(str(path)), processor, texts)
    if differing is not None:
        progress(f"{kept}: sentencepiece segments {differing[:40]!r} otherwise")
        return path
    path.unlink()
    written = path.with_name(SENTENCEPIECE_FILE)
    written.write_bytes(content)
    return written
