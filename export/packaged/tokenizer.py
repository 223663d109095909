"""Builds the tokenizer of a data file, as tokenizer.json for the library `tokenizers`.

It is XLM-R's: a unigram vocabulary, and sentencepiece's normalization with the data file's character map. sentencepiece
compiles the map, so that the result is a `Precompiled` normalizer like those of other models with this vocabulary.
"""

from __future__ import annotations

import tempfile
import unicodedata
from pathlib import Path
from typing import Any

from export.packaged.data_file import Vocabulary

MASK = "<mask>"
LAST_COMPOSED = 0x2FFFF
"""The last character that may be composed of others."""


def build_tokenizer(vocabulary: Vocabulary, scratch: Path) -> Any:
    """Returns the tokenizer (tokenizers.Tokenizer) of a vocabulary. A temporary file goes to `scratch`."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    names = [token for token, _ in vocabulary.tokens]
    first, last = names[vocabulary.first], names[vocabulary.last]
    tokenizer = Tokenizer(models.Unigram(vocabulary.tokens, unk_id=vocabulary.unknown))
    tokenizer.normalizer = normalizers.Sequence(
        [
            # `Precompiled` maps most characters one by one, whereas sentencepiece's map also composes them.
            normalizers.NFC(),
            normalizers.Precompiled(compile_map(vocabulary.normalization, scratch)),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} {last} $B {last}",
        special_tokens=[(first, vocabulary.first), (last, vocabulary.last)],
    )
    tokenizer.add_special_tokens([first, names[vocabulary.padding], last, names[vocabulary.unknown]])
    if MASK in names:
        tokenizer.add_special_tokens([AddedToken(MASK, lstrip=True)])
    return tokenizer


def compile_map(normalization: dict[str, str], scratch: Path) -> bytes:
    """Returns a character map in sentencepiece's compiled form, with rules that compose decomposed characters."""
    import sentencepiece
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    sentencepiece.set_min_log_level(2)  # Otherwise it writes its progress to stderr.
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        rules = Path(directory) / "rules.tsv"
        lines = [
            f"{_code_points(source)}\t{_code_points(target)}\n"
            for source, target in (_compositions(normalization) | normalization).items()
        ]
        rules.write_text("".join(lines), encoding="ascii")
        normalizer = sentencepiece.SentencePieceNormalizer(rule_tsv=str(rules))
    compiled: bytes = ModelProto.FromString(normalizer.serialized_model_proto()).normalizer_spec.precompiled_charsmap
    return compiled


def _compositions(normalization: dict[str, str]) -> dict[str, str]:
    """Returns rules that compose a character from all its parts (NFD), and from its last part and the composed rest."""
    rules = {}
    for character in map(chr, range(0x80, LAST_COMPOSED + 1)):
        split = unicodedata.normalize("NFD", character)
        if split != character and unicodedata.normalize("NFC", split) == character:
            for form in (split, unicodedata.normalize("NFC", split[:-1]) + split[-1]):
                rules[form] = normalization.get(character, character)
    return rules


def _code_points(text: str) -> str:
    return " ".join(f"{ord(character):X}" for character in text)
