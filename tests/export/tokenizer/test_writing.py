"""Tests when a sentencepiece model replaces a tokenizer.json."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from export.tokenizer.writing import prefer_sentencepiece
from server.encoding.segmenter import SENTENCEPIECE_FILE, TOKENIZER_FILE, Segmenter, open_segmenter
from tests.unigram import unigram_tokenizer

ALL = 10_000


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    path = tmp_path_factory.mktemp("unigram") / TOKENIZER_FILE
    unigram_tokenizer().save(str(path))
    lines: list[str] = []
    written = prefer_sentencepiece(path, ["카드 분실 신고", "lost card"], progress=lines.append)
    assert not lines
    assert written.name == SENTENCEPIECE_FILE
    assert not written.with_name(TOKENIZER_FILE).exists(), "the bundle holds two tokenizers"
    return open_segmenter(written)


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from("abclost카드분실 \t가나다라🚗ＡＢ-</s>x中ㄱㅋ\u3000"), max_size=80))
def test_texts_get_the_tokens_of_the_models_tokenizer(segmenter: Segmenter, text: str) -> None:
    own = unigram_tokenizer()
    text = unicodedata.normalize("NFKC", text)
    # The text of a special token is an exception: see the next test.
    if "</s>" not in text and "<s>" not in text:
        assert segmenter.segment([text], max_tokens=ALL) == [(own.encode(text).ids, len(own.encode(text).ids))]


def test_the_text_of_a_special_token_is_tokenized_as_text(segmenter: Segmenter) -> None:
    ((ids, _),) = segmenter.segment(["lost</s>card"], max_tokens=ALL)
    assert ids[1:-1].count(2) == 0


def test_decomposed_korean_gets_the_tokens_of_composed(segmenter: Segmenter) -> None:
    text = "카드 분실 신고"
    whole, decomposed = segmenter.segment([text, unicodedata.normalize("NFD", text)], max_tokens=ALL)
    assert whole == decomposed


END = {"SpecialToken": {"id": "</s>", "type_id": 0}}
CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "does not support a model of type Unigram with byte fallback": lambda c: c["model"].update(byte_fallback=True),
    "tokens that span words": lambda c: c["model"]["vocab"].append(["▁lost▁card", -2.0]),
    "a normalizer of type Lowercase": lambda c: c["normalizer"]["normalizers"].append({"type": "Lowercase"}),
    "differently": lambda c: c["normalizer"]["normalizers"].pop(0),
    "special tokens other than one before and one after a text": lambda c: c["post_processor"]["single"].append(END),
    "added tokens that texts may contain": lambda c: c["added_tokens"][1].update(special=False),
    "a pre-tokenizer that marks spaces differently": lambda c: c["pre_tokenizer"]["pretokenizers"][1].update(
        prepend_scheme="never"
    ),
}
"""Changes to a tokenizer that sentencepiece cannot express, by the reported reason."""


@pytest.mark.parametrize("reason", CHANGES)
def test_a_tokenizer_that_sentencepiece_cannot_express_is_kept(tmp_path: Path, reason: str) -> None:
    content = json.loads(unigram_tokenizer().to_str())
    CHANGES[reason](content)
    lines: list[str] = []
    path = tmp_path / TOKENIZER_FILE
    path.write_text(json.dumps(content), encoding="utf-8")
    assert prefer_sentencepiece(path, ["lost card"], progress=lines.append) == path
    assert path.is_file()
    (line,) = lines
    assert "keeping tokenizer.json" in line
    assert reason in line


def test_a_text_with_other_tokens_keeps_the_models_tokenizer(tmp_path: Path) -> None:
    lines: list[str] = []
    path = tmp_path / TOKENIZER_FILE
    unigram_tokenizer().save(str(path))
    assert prefer_sentencepiece(path, ["card <s>"], progress=lines.append) == path
    assert "'card <s>'" in lines[0]


def test_wordpiece_is_kept_silently(tmp_path: Path) -> None:
    lines: list[str] = []
    path = tmp_path / TOKENIZER_FILE
    tokenizers.Tokenizer(tokenizers.models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]")).save(str(path))
    assert prefer_sentencepiece(path, [], progress=lines.append) == path
    assert not lines
