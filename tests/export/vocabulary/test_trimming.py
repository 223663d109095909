import json
import random
from collections.abc import Callable

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers, processors

from export.errors import ExportError
from export.vocabulary.trimming import TrimmedVocabulary, trim_vocabulary

KEPT = "abcABC12가나다각ㄱ.,!#∑👍\ufe0f "
OTHER = "дбжéあ中ञ\u0e01"
NORMALIZED = "㎛①㈜Ａ½"
"""NFKC converts these to kept characters."""


def unigram(seed: int) -> tokenizers.Tokenizer:
    """Returns a random tokenizer with many equal scores, special tokens in the middle and an added token at the end."""
    choose = random.Random(seed)
    tokens = {"<s>": 0.0, "<pad>": 0.0, "</s>": 0.0, "<unk>": 0.0, "▁": -2.0}
    for _ in range(120):
        token = "".join(choose.choices(KEPT.strip() + OTHER + "μm1", k=choose.randint(1, 4)))
        tokens.setdefault(choose.choice(["", "▁"]) + token, -choose.randint(1, 6) * 1.5)
    # The lowest score, which decides the cost of an unknown character, belongs to a token that is otherwise removed.
    tokens["дбжд"] = -20.0
    tokens["<mask>"] = 0.0
    tokenizer = tokenizers.Tokenizer(models.Unigram(list(tokens.items()), unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<after>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A <after> </s>",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>", "<after>")],
    )
    return tokenizer


def wordpiece(seed: int) -> tokenizers.Tokenizer:
    """Returns a random tokenizer whose special tokens are at the end."""
    choose = random.Random(seed)
    tokens: dict[str, None] = {}
    for _ in range(150):
        token = "".join(choose.choices(KEPT.strip() + OTHER + "μm1", k=choose.randint(1, 3)))
        tokens.setdefault(choose.choice(["", "##"]) + token)
    words = [*tokens, "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=6))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["[UNK]", "[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.BertProcessing(
        sep=("[SEP]", vocabulary["[SEP]"]), cls=("[CLS]", vocabulary["[CLS]"])
    )
    return tokenizer


def trimmed_of(whole: tokenizers.Tokenizer) -> tuple[TrimmedVocabulary, tokenizers.Tokenizer]:
    vocabulary = trim_vocabulary(whole, ["ko", "en"], name="random")
    return vocabulary, tokenizers.Tokenizer.from_str(vocabulary.tokenizer_json)


MAKERS = [unigram, wordpiece]
TOKENIZERS = [(make(seed), *trimmed_of(make(seed))) for make in MAKERS for seed in range(8)]


@settings(max_examples=400)
@given(st.text(st.sampled_from(KEPT + NORMALIZED), max_size=12), st.sampled_from(TOKENIZERS))
def test_texts_of_kept_characters_have_the_same_tokens(
    text: str, case: tuple[tokenizers.Tokenizer, TrimmedVocabulary, tokenizers.Tokenizer]
) -> None:
    whole, vocabulary, trimmed = case
    assert [vocabulary.kept_ids[number] for number in trimmed.encode(text).ids] == whole.encode(text).ids


@settings(max_examples=400)
@given(st.text(st.sampled_from(KEPT + OTHER) | st.characters(codec="utf-8"), max_size=12), st.sampled_from(TOKENIZERS))
def test_any_other_text_gets_existing_tokens(
    text: str, case: tuple[tokenizers.Tokenizer, TrimmedVocabulary, tokenizers.Tokenizer]
) -> None:
    _, vocabulary, trimmed = case
    assert all(number < len(vocabulary.kept_ids) for number in trimmed.encode(text).ids)


@pytest.mark.parametrize("make", MAKERS)
def test_other_scripts_keep_only_single_characters(make: Callable[[int], tokenizers.Tokenizer]) -> None:
    whole = make(1)
    vocabulary, trimmed = trimmed_of(whole)
    before, after = set(whole.get_vocab()), set(trimmed.get_vocab())
    assert vocabulary.total == len(before) > len(after) == len(vocabulary.kept_ids)
    gone = before - after
    assert gone
    assert all(set(token) & set(OTHER) for token in gone)
    assert all(len(token.removeprefix("▁").removeprefix("##")) > 1 for token in gone)
    assert [whole.id_to_token(number) for number in vocabulary.kept_ids] == [
        trimmed.id_to_token(number) for number in range(len(vocabulary.kept_ids))
    ]


def test_byte_tokens_for_unknown_characters_are_kept() -> None:
    known = [(token, -1.0) for token in ("a", "가나", "дб")]
    tokens = [("<unk>", 0.0), *((f"<0x{byte:02X}>", -9.0) for byte in range(256)), *known]
    whole = tokenizers.Tokenizer(models.Unigram(tokens, unk_id=0, byte_fallback=True))
    vocabulary, trimmed = trimmed_of(whole)
    assert vocabulary.total - len(vocabulary.kept_ids) == 1
    for text in ("a가나é", "z"):
        assert [vocabulary.kept_ids[number] for number in trimmed.encode(text).ids] == whole.encode(text).ids
    assert list(trimmed.encode("д").tokens) == ["<0xD0>", "<0xB4>"]


def test_the_lowest_score_is_kept_since_it_sets_the_cost_of_unknown_characters() -> None:
    tokens = [("<unk>", 0.0), ("xb", -9.0), ("c", -9.0), ("d", -9.0), ("bcd", -1.0), ("가", -1.0), ("дб", -20.0)]
    whole = tokenizers.Tokenizer(models.Unigram(tokens, unk_id=0))
    assert whole.encode("xbcd").tokens == ["xb", "c", "d"]  # An unknown x before bcd would cost more: -20.
    _, trimmed = trimmed_of(whole)
    assert trimmed.encode("xbcd").tokens == ["xb", "c", "d"]


def test_a_vocabulary_that_cannot_be_trimmed_is_refused() -> None:
    bpe = tokenizers.Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    with pytest.raises(ExportError, match=r"^the vocabulary of some is BPE.*export it with --languages all$"):
        trim_vocabulary(bpe, ["en"], name="some")
    words = tokenizers.Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    with pytest.raises(ExportError, match="is WordLevel"):
        trim_vocabulary(words, ["en"], name="some")


def test_a_language_that_the_vocabulary_lacks_is_refused() -> None:
    whole = tokenizers.Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    with pytest.raises(ExportError, match="--languages ko would leave no token of that language"):
        trim_vocabulary(whole, ["en", "ko"], name="some")


def test_special_tokens_of_a_sequence_of_post_processors_are_renumbered() -> None:
    whole = wordpiece(2)
    ids = {token: whole.token_to_id(token) for token in ("[CLS]", "[SEP]")}
    whole.post_processor = processors.Sequence(
        [
            processors.ByteLevel(),
            processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=list(ids.items())),
        ]
    )
    whole.enable_padding(pad_id=whole.token_to_id("[UNK]"), pad_token="[UNK]")
    _, trimmed = trimmed_of(whole)
    tokens = trimmed.encode("가").tokens
    assert (tokens[0], tokens[-1]) == ("[CLS]", "[SEP]")
    assert trimmed.padding["pad_id"] == trimmed.token_to_id("[UNK]")
    assert json.loads(trimmed.to_str())["added_tokens"][0]["id"] == trimmed.token_to_id("[UNK]")
