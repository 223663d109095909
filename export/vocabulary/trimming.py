"""Makes a smaller tokenizer, which splits texts of kept characters exactly as the whole one does.

A Unigram or WordPiece tokenizer only looks up parts of the text. In a text of kept characters, every part consists of
kept characters. So all tokens that such a text could use stay, and the tokenizer makes the same choices between them.
Tokens keep their order, and get ids without gaps.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from export.errors import ExportError, library_errors
from export.vocabulary.languages import has_character_of, kept_characters

WORD_START = "▁"
"""Unigram's mark of the start of a word."""


@dataclass(frozen=True)
class TrimmedVocabulary:
    """A trimmed vocabulary.

    Attributes:
        languages: The codes of its languages.
        tokenizer_json: The content of tokenizer.json.
        kept_ids: For each new id, in order, the token's id in the whole vocabulary.
        total: Number of tokens of the whole vocabulary.
    """

    languages: tuple[str, ...]
    tokenizer_json: str
    kept_ids: NDArray[np.int64]
    total: int


def trim_vocabulary(tokenizer: tokenizers.Tokenizer, languages: Sequence[str], *, name: str) -> TrimmedVocabulary:
    """Trims a tokenizer to some languages.

    It keeps all tokens of kept characters (see `languages`), all tokens of a single character, and all added tokens.

    Args:
        tokenizer: The whole tokenizer; it is not changed.
        languages: One or more codes of `LANGUAGES`.
        name: The model's name, for messages.

    Raises:
        ExportError: This kind of tokenizer cannot be trimmed, or no token of a language would be left.
    """
    whole = json.loads(tokenizer.to_str())
    model = whole["model"]
    kind = model.get("type")
    if kind not in ("Unigram", "WordPiece"):
        reason = ", which builds tokens from other tokens" if kind == "BPE" else ""
        raise ExportError(
            f"the vocabulary of {name} is {kind}{reason}: only Unigram and WordPiece can be trimmed; "
            "export it with --languages all"
        )
    tokens = _tokens_by_id(model)
    added = {token["id"]: token["content"] for token in whole["added_tokens"]}
    kept = _kept_ids(model, tokens, set(added.values()), languages)
    _check_languages([tokens[old] for old in kept], languages, name)
    old_ids = [*kept, *(old for old in sorted(added) if old not in tokens)]
    new_ids = {old: new for new, old in enumerate(old_ids)}
    if kind == "Unigram":
        model["vocab"] = [model["vocab"][old] for old in kept]
        if model.get("unk_id") is not None:
            model["unk_id"] = new_ids[model["unk_id"]]
    else:
        model["vocab"] = {tokens[old]: new_ids[old] for old in kept}
    for token in whole["added_tokens"]:
        token["id"] = new_ids[token["id"]]
    if whole["post_processor"] is not None:
        _renumber_post_processor(whole["post_processor"], new_ids)
    if whole["padding"] is not None:
        whole["padding"]["pad_id"] = new_ids[whole["padding"]["pad_id"]]
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
    _check_ids(text, tokenizer, new_ids, name)
    return TrimmedVocabulary(tuple(languages), text, np.array(old_ids, np.int64), tokenizer.get_vocab_size())


def _tokens_by_id(model: dict[str, Any]) -> dict[int, str]:
    """Returns the tokens by their ids, in order."""
    if model["type"] == "Unigram":
        return {number: token for number, (token, _) in enumerate(model["vocab"])}
    return {number: token for token, number in sorted(model["vocab"].items(), key=lambda item: int(item[1]))}


def _kept_ids(model: dict[str, Any], tokens: dict[int, str], special: set[str], languages: Sequence[str]) -> list[int]:
    unigram = model["type"] == "Unigram"
    sign = WORD_START if unigram else model["continuing_subword_prefix"]
    always = {model.get("unk_id")} if unigram else set()
    if unigram and tokens:
        # The score of an unknown character depends on the lowest score of all.
        scores = [score for _, score in model["vocab"]]
        always.add(scores.index(min(scores)))
    else:
        special = special | {model["unk_token"]}
    characters = kept_characters(languages)
    return [
        number
        for number, token in tokens.items()
        if number in always
        or token in special
        or len(token.removeprefix(sign)) <= 1
        or characters.fullmatch(token.removeprefix(sign))
    ]


def _check_languages(tokens: Sequence[str], languages: Sequence[str], name: str) -> None:
    for language in languages:
        found = has_character_of(language)
        if not any(found.search(token) for token in tokens):
            raise ExportError(
                f"--languages {language} would leave no token of that language: the vocabulary of {name} has none of "
                "its script; omit the language or use another model"
            )


def _renumber_post_processor(processor: dict[str, Any], new_ids: dict[int, int]) -> None:
    """Renumbers the special tokens that a post-processor of any kind adds."""
    for part in processor.get("processors", ()):
        _renumber_post_processor(part, new_ids)
    for end in ("sep", "cls"):
        if end in processor:
            token, number = processor[end]
            processor[end] = [token, new_ids[number]]
    if processor["type"] == "TemplateProcessing":
        for token in processor["special_tokens"].values():
            token["ids"] = [new_ids[number] for number in token["ids"]]


def _check_ids(text: str, whole: tokenizers.Tokenizer, new_ids: dict[int, int], name: str) -> None:
    """Raises ExportError unless the trimmed tokenizer has exactly the kept tokens with their new ids."""
    with library_errors(f"the trimmed vocabulary of {name} cannot be read; export it with --languages all"):
        trimmed = tokenizers.Tokenizer.from_str(text)
    wanted = {token: new_ids[number] for token, number in whole.get_vocab().items() if number in new_ids}
    if trimmed.get_vocab() != wanted:
        raise ExportError(
            f"the vocabulary of {name} cannot be trimmed, because its token ids are unusual; export it with "
            "--languages all"
        )
