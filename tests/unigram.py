"""Makes small unigram tokenizers, as multilingual models have them."""

import base64
import functools
import io
import json
import string
from pathlib import Path

import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2 as schema
from tokenizers import normalizers, pre_tokenizers, processors

from export.tokenizer.sentencepiece_model import sentencepiece_model
from server.encoding.segmenter import SENTENCEPIECE_FILE

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
WORDS = [
    "▁카드",
    "▁card",
    "카드",
    "분실",
    "신고",
    "lost",
    "▁lo",
    "st",
    "ab",
    "abc",
    "▁요금",
    "ㅋㅋ",
    "가나",
    "다라",
    "--",
]
LETTERS = [*"▁가나다라마바사카드분실신고요금🚗한ㄱ", *string.ascii_letters, *string.digits, *string.punctuation]


@functools.cache
def charsmap() -> str:
    """Returns sentencepiece's own map of characters, as a tokenizer.json holds it."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["abc abd abe xyz"] * 20),
        model_writer=written,
        vocab_size=20,
        hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc",
        minloglevel=2,
    )
    model = schema.ModelProto()
    model.ParseFromString(written.getvalue())
    return base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()


def unigram_tokenizer() -> tokenizers.Tokenizer:
    """Returns a tokenizer built like that of XLM-R."""
    tokens = [(token, 0.0) for token in SPECIAL]
    tokens += [(token, -3.0 - number / 7) for number, token in enumerate(WORDS)]
    tokens += [(token, -9.0 - number / 11) for number, token in enumerate(LETTERS)]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram(tokens, unk_id=3, byte_fallback=False))
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(base64.b64decode(charsmap())),
            normalizers.Replace(tokenizers.Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def unigram_model(directory: Path) -> Path:
    """Writes the tokenizer as a sentencepiece model; returns its path."""
    path = directory / SENTENCEPIECE_FILE
    path.write_bytes(sentencepiece_model(json.loads(unigram_tokenizer().to_str())))
    return path
