"""Queries that hardly any catalogue of services answers: their scores show what a score is worth without relevance.

The probes are questions of general knowledge, in the length of what people type. The commands are short queries to
other apps or by mistake, and nearer to most catalogues. A paraphrase is a pair that asks for the same with hardly a
word in common: only a model that reads the language sees that the two are near each other.
"""

import hashlib
import json
from pathlib import Path

_TEXTS = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))

PROBES: dict[str, tuple[str, ...]] = {language: tuple(texts) for language, texts in _TEXTS["probes"].items()}
COMMANDS: dict[str, tuple[str, ...]] = {language: tuple(texts) for language, texts in _TEXTS["commands"].items()}
PARAPHRASES: dict[str, tuple[tuple[str, str], ...]] = {
    language: tuple((one, other) for one, other in pairs) for language, pairs in _TEXTS["paraphrases"].items()
}


def probe_texts() -> list[str]:
    """Returns every text of this module, each once, in a fixed order."""
    pairs = [text for each in PARAPHRASES.values() for pair in each for text in pair]
    return list(dict.fromkeys([text for by in (PROBES, COMMANDS) for each in by.values() for text in each] + pairs))


def probes_file() -> str:
    """Returns the name of the file in which a bundle keeps the vectors `[N, dimension]` of these texts.

    The name has a digest of the texts: a bundle of a version with other texts has another file.
    """
    digest = hashlib.sha256("\n".join(probe_texts()).encode()).hexdigest()[:8]
    return f"probes-{digest}.npy"
