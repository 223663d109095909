"""Tests how both libraries cut texts and locate tokens."""

from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers, processors

from server.encoding.segmenter import SENTENCEPIECE_FILE, TOKENIZER_FILE, open_segmenter
from server.errors import BundleError
from tests.unigram import unigram_model, unigram_tokenizer


def _wordpiece() -> tokenizers.Tokenizer:
    words = ["[UNK]", "[CLS]", "[SEP]", "a", "b", "##a", "##b", "ab", "가", "나"]
    tokenizer = tokenizers.Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _with_special(tokenizer: tokenizers.Tokenizer, template: str) -> tokenizers.Tokenizer:
    tokenizer.add_special_tokens(["[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return tokenizer


TOKENIZERS = {
    "no special tokens": _wordpiece(),
    "one on each side": _with_special(_wordpiece(), "[CLS] $A [SEP]"),
    "two before": _with_special(_wordpiece(), "[CLS] [SEP] $A"),
    "one after": _with_special(_wordpiece(), "$A [SEP]"),
    "unigram": unigram_tokenizer(),
}


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.sampled_from("ab가나 c[CLS]"), max_size=40), max_tokens=st.integers(3, 12))
@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_text_is_cut_where_the_library_would_cut_it(
    name: str, text: str, max_tokens: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"{name}-{TOKENIZER_FILE}"
    tokenizer = TOKENIZERS[name]
    if not path.exists():
        tokenizer.save(str(path))
    segmenter = open_segmenter(path)
    tokenizer.no_truncation()
    whole = tokenizer.encode(text).ids
    tokenizer.enable_truncation(max_tokens)
    assert segmenter.segment([text], max_tokens=max_tokens) == [(tokenizer.encode(text).ids, len(whole))]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unigram_model(tmp_path_factory.mktemp("model"))


def test_sentencepiece_keeps_the_special_tokens_around_a_cut(model: Path) -> None:
    (whole, count), (cut, same) = [
        open_segmenter(model).segment(["lost card " * 5], max_tokens=most)[0] for most in (1000, 7)
    ]
    assert count == same == len(whole)
    assert cut == [*whole[:6], whole[-1]]
    assert (cut[0], cut[-1]) == (0, 2)


@pytest.mark.parametrize("text", ["카드 분실", "🚗 분실", "ＡＢ 분실", "\u1112\u1161\u11ab 분실"])
def test_offsets_count_characters_of_the_original_text(model: Path, text: str) -> None:
    offsets = open_segmenter(model).offsets(text).tolist()
    assert offsets[0][0] == 0
    assert offsets[-1] == [len(text) - 2, len(text)]
    assert all(start <= end for start, end in offsets)


@pytest.mark.parametrize("text", ["가나 가 " * 3000, "ab ba a " * 3000, " c" * 9000])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_long_text_is_segmented_in_sections_as_a_whole(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TOKENIZERS[name].save(str(tmp_path / TOKENIZER_FILE))
    segmenter = open_segmenter(tmp_path / TOKENIZER_FILE)
    sectioned = segmenter.segment([text, "카드", text], max_tokens=40), segmenter.offsets(text).tolist()
    monkeypatch.setattr("server.encoding.segmenter.sections", lambda whole, **_: [whole])
    assert sectioned == (segmenter.segment([text, "카드", text], max_tokens=40), segmenter.offsets(text).tolist())


@pytest.mark.parametrize("text", ["카드 분실 " * 3000, "lost card " * 3000])
def test_sentencepiece_segments_a_long_text_in_sections_as_a_whole(
    model: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = open_segmenter(model)
    # The first token of a section does not include the space before it.
    sectioned = segmenter.segment([text], max_tokens=40), segmenter.offsets(text)[:, 1].tolist()
    monkeypatch.setattr("server.encoding.segmenter.sections", lambda whole, **_: [whole])
    assert sectioned == (segmenter.segment([text], max_tokens=40), segmenter.offsets(text)[:, 1].tolist())


def test_an_invalid_model_is_rejected_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / SENTENCEPIECE_FILE
    path.write_bytes(b"no model")
    with pytest.raises(BundleError, match=r"is not a tokenizer: .*; export the model again") as caught:
        open_segmenter(path)
    assert "\n" not in str(caught.value)
