"""When a sentencepiece model takes the place of a tokenizer.json."""

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
    written = _written(unigram_tokenizer(), tmp_path_factory.mktemp("unigram"))
    assert written.name == SENTENCEPIECE_FILE
    assert not written.with_name(TOKENIZER_FILE).exists(), "the bundle holds one of them"
    return open_segmenter(written)


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from("abclost카드분실 \t가나다라🚗ＡＢ-</s>x中ㄱㅋ\u3000"), max_size=80))
def test_texts_get_the_tokens_of_the_models_own_tokenizer(segmenter: Segmenter, text: str) -> None:
    own = unigram_tokenizer()
    text = unicodedata.normalize("NFKC", text)
    # A special token that is spelt out is an exception: see below.
    if "</s>" not in text and "<s>" not in text:
        assert segmenter.segment([text], max_tokens=ALL) == [(own.encode(text).ids, len(own.encode(text).ids))]


def test_a_special_token_that_is_spelt_out_is_text(segmenter: Segmenter) -> None:
    ((ids, _),) = segmenter.segment(["lost</s>card"], max_tokens=ALL)
    assert ids[1:-1].count(2) == 0


def test_korean_in_pieces_is_read_as_the_same_korean_whole(segmenter: Segmenter) -> None:
    text = "카드 분실 신고"
    whole, in_pieces = segmenter.segment([text, unicodedata.normalize("NFD", text)], max_tokens=ALL)
    assert whole == in_pieces


def _with_byte_fallback(content: dict[str, Any]) -> None:
    content["model"]["byte_fallback"] = True


def _with_words_joined(content: dict[str, Any]) -> None:
    content["model"]["vocab"].append(["▁lost▁card", -2.0])


def _with_lowercase(content: dict[str, Any]) -> None:
    content["normalizer"]["normalizers"].append({"type": "Lowercase"})


def _without_charsmap(content: dict[str, Any]) -> None:
    del content["normalizer"]["normalizers"][0]


def _with_two_after(content: dict[str, Any]) -> None:
    content["post_processor"]["single"].append({"SpecialToken": {"id": "</s>", "type_id": 0}})


def _with_a_token_for_texts(content: dict[str, Any]) -> None:
    content["added_tokens"][1]["special"] = False


def _with_other_spaces(content: dict[str, Any]) -> None:
    content["pre_tokenizer"]["pretokenizers"][1]["prepend_scheme"] = "never"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_with_byte_fallback, "sentencepiece cannot express a model of type Unigram with bytes"),
        (_with_words_joined, "pieces that span words"),
        (_with_lowercase, "a normalizer of type Lowercase"),
        (_without_charsmap, "differently"),
        (_with_two_after, "special tokens other than one before and one after a text"),
        (_with_a_token_for_texts, "added tokens that texts may hold"),
        (_with_other_spaces, "a pre-tokenizer that writes spaces otherwise"),
    ],
)
def test_what_sentencepiece_cannot_do_stays_and_is_said(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    content = json.loads(unigram_tokenizer().to_str())
    change(content)
    said: list[str] = []
    path = tmp_path / TOKENIZER_FILE
    path.write_text(json.dumps(content), encoding="utf-8")
    assert prefer_sentencepiece(path, ["lost card"], progress=said.append) == path
    assert path.is_file()
    (line,) = said
    assert "keeping tokenizer.json" in line
    assert reason in line


def test_a_text_at_hand_that_gets_other_tokens_keeps_the_models_own(tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / TOKENIZER_FILE
    unigram_tokenizer().save(str(path))
    assert prefer_sentencepiece(path, ["card <s>"], progress=said.append) == path
    assert "'card <s>'" in said[0]


def test_wordpiece_stays_without_a_word(tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / TOKENIZER_FILE
    tokenizers.Tokenizer(tokenizers.models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]")).save(str(path))
    assert prefer_sentencepiece(path, [], progress=said.append) == path
    assert not said


def _written(tokenizer: tokenizers.Tokenizer, directory: Path) -> Path:
    path = directory / TOKENIZER_FILE
    tokenizer.save(str(path))
    said: list[str] = []
    written = prefer_sentencepiece(path, ["카드 분실 신고", "lost card"], progress=said.append)
    assert not said
    return written
