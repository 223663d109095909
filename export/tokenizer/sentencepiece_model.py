"""Converts a unigram tokenizer.json to a sentencepiece model, which the server loads faster and without the GIL.

The token at position i has the id i, as in tokenizer.json. The special tokens before and after every text become the
model's bos and eos, so that the server needs no other file. Features that sentencepiece lacks raise an error. Scores
become float32, which sentencepiece also uses for sums: see `export.tokenizer.agreement`.
"""

from __future__ import annotations

import base64
from typing import Any

from sentencepiece import sentencepiece_model_pb2 as schema

SPACE = "▁"
"""The character for a space in a token."""

NO_PIECE = "\x00"
"""The name of a special token that the model does not have."""

Piece = schema.ModelProto.SentencePiece


class NotExpressible(Exception):
    """Sentencepiece lacks a feature of the tokenizer; the message names it."""


def sentencepiece_model(tokenizer: dict[str, Any]) -> bytes:
    """Returns the content of a sentencepiece model that segments as a tokenizer.json does.

    Args:
        tokenizer: The decoded tokenizer.json.

    Raises:
        NotExpressible: Sentencepiece lacks a feature of the tokenizer.
    """
    model = tokenizer["model"]
    if model.get("type") != "Unigram" or model.get("unk_id") is None:
        raise NotExpressible(f"a model of type {model.get('type')} without an unknown token")
    if model.get("byte_fallback"):
        raise NotExpressible("a model of type Unigram with byte fallback")
    tokens: list[tuple[str, float]] = [(piece, score) for piece, score in model["vocab"]]
    special = _special_ids(tokenizer, tokens)
    if any(SPACE in piece[1:] for number, (piece, _) in enumerate(tokens) if number not in special):
        raise NotExpressible("tokens that span words")
    before, after = _around(tokenizer.get("post_processor"))
    result = schema.ModelProto()
    for number, (piece, score) in enumerate(tokens):
        kind = Piece.NORMAL
        if number == model["unk_id"]:
            kind = Piece.UNKNOWN
        elif number in special:
            kind = Piece.CONTROL
        result.pieces.add(piece=piece, score=score, type=kind)
    trainer = result.trainer_spec
    trainer.model_type = schema.TrainerSpec.UNIGRAM
    trainer.unk_id, trainer.unk_piece = model["unk_id"], tokens[model["unk_id"]][0]
    for name, token in (("bos", before), ("eos", after), ("pad", None)):
        if token is not None and token not in special:
            raise NotExpressible("a token around texts that is not special")
        setattr(trainer, f"{name}_id", -1 if token is None else token)
        setattr(trainer, f"{name}_piece", NO_PIECE if token is None else tokens[token][0])
    charsmap, folds_spaces = _normalizer(tokenizer.get("normalizer"))
    normalizer = result.normalizer_spec
    normalizer.name, normalizer.precompiled_charsmap = "of the model", charsmap
    normalizer.add_dummy_prefix = normalizer.escape_whitespaces = True
    normalizer.remove_extra_whitespaces = _splits_at_spaces(tokenizer.get("pre_tokenizer")) or folds_spaces
    content: bytes = result.SerializeToString(deterministic=True)
    return content


def _special_ids(tokenizer: dict[str, Any], tokens: list[tuple[str, float]]) -> set[int]:
    """Returns the ids of the added tokens, which must be special: no text can contain them."""
    added = tokenizer.get("added_tokens") or []
    if not all(each["special"] for each in added):
        raise NotExpressible("added tokens that texts may contain")
    if any(each["id"] >= len(tokens) or tokens[each["id"]][0] != each["content"] for each in added):
        raise NotExpressible("added tokens outside the vocabulary")
    return {each["id"] for each in added}


def _normalizer(normalizer: dict[str, Any] | None) -> tuple[bytes, bool]:
    """Returns the character map, empty if there is none, and whether repeated spaces become one."""
    charsmap, folds_spaces = b"", False
    steps = [] if normalizer is None else normalizer.get("normalizers", [normalizer])
    if [step["type"] for step in steps[:2]] == ["NFC", "Precompiled"]:
        steps = steps[1:]  # Sentencepiece composes by its map; the comparison checks that this map does.
    for number, step in enumerate(steps):
        match step:
            case {"type": "Precompiled", "precompiled_charsmap": str(encoded)} if number == 0:
                charsmap = base64.b64decode(encoded)
            case {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " " | "▁"}:
                folds_spaces = True
            case {"type": "Strip"}:  # Sentencepiece strips if it folds spaces; the comparison checks the result.
                continue
            case _:
                raise NotExpressible(f"a normalizer of type {step.get('type')}")
    return charsmap, folds_spaces


def _splits_at_spaces(pre_tokenizer: dict[str, Any] | None) -> bool:
    """Returns whether whitespace only separates words."""
    steps = pre_tokenizer.get("pretokenizers", [pre_tokenizer]) if pre_tokenizer else []
    kinds = [step.get("type") for step in steps]
    if kinds not in (["WhitespaceSplit", "Metaspace"], ["Metaspace"]):
        raise NotExpressible(f"a pre-tokenizer of type {' and '.join(kinds) or None}")
    metaspace = steps[-1]
    if metaspace.get("replacement") != SPACE or metaspace.get("prepend_scheme", "always") != "always":
        raise NotExpressible("a pre-tokenizer that marks spaces differently")
    return len(kinds) > 1


def _around(post_processor: dict[str, Any] | None) -> tuple[int | None, int | None]:
    """Returns the ids of the special tokens before and after a text."""
    match post_processor:
        case None:
            return None, None
        case {"type": "BertProcessing" | "RobertaProcessing", "cls": [_, int(before)], "sep": [_, int(after)]}:
            return before, after
        case {"type": "TemplateProcessing", "single": template, "special_tokens": tokens}:
            parts = [_template_ids(part, tokens) for part in template]
            if parts.count(None) == 1:
                place = parts.index(None)
                first, last = (
                    [each for ids in part if ids for each in ids] for part in (parts[:place], parts[place + 1 :])
                )
                if len(first) <= 1 and len(last) <= 1:
                    return next(iter(first), None), next(iter(last), None)
    raise NotExpressible("special tokens other than one before and one after a text")


def _template_ids(part: dict[str, Any], tokens: dict[str, Any]) -> list[int] | None:
    """Returns the ids of a part of a template, or None for the text."""
    if "SpecialToken" not in part:
        return None
    ids: list[int] = tokens[part["SpecialToken"]["id"]]["ids"]
    return ids
