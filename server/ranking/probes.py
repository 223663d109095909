"""Queries that hardly any catalogue of services answers. Their scores show which scores occur without relevance.

The probes are questions of general knowledge, about as long as typical queries. The commands are short queries meant
for other apps or typed by mistake; they are nearer to most catalogues. A paraphrase is a pair of queries that ask for
the same thing with hardly a word in common: only a model that reads the language finds them similar.
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
    """Returns the distinct texts of this module, in a fixed order."""
    pairs = [text for each in PARAPHRASES.values() for pair in each for text in pair]
    return list(dict.fromkeys([text for by in (PROBES, COMMANDS) for each in by.values() for text in each] + pairs))


def probes_file() -> str:
    """Returns the name of a bundle's file with the vectors `[N, dimension]` of these texts.

    The name contains a digest of the texts, so that vectors of other texts are never read.
    """
    digest = hashlib.sha256("\n".join(probe_texts()).encode()).hexdigest()[:8]
    return f"probes-{digest}.npy"
