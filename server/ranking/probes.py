"""Queries that hardly any catalogue of services answers. Their scores show which scores occur without relevance.

The probes are questions of general knowledge, about as long as typical queries. The commands are short queries meant
for other apps or typed by mistake; they are nearer to most catalogues. A paraphrase is a pair of queries that ask for
the same thing with hardly a word in common: only a model that reads the language finds them similar.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.encoding.bundle import Bundle
from server.encoding.kind import TextKind
from server.ranking.baseline import Baseline, LanguageBaseline
from server.ranking.decoys import Decoys

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


class EncodedProbes:
    """The probes, encoded once per bundle. Immutable. `readings` has the share of paraphrases found, by language."""

    def __init__(
        self, encode: Callable[[Sequence[str]], NDArray[np.float32]], *, compares_queries: bool = False
    ) -> None:
        """Encodes the texts of this module as queries.

        `encode` returns the vectors `[N, dimension]` of N queries. Set `compares_queries` if the similarity of two
        queries has the same scale as that of a query and a document, as with the cosine and one encoder for both.
        """
        self._vectors = {language: encode(queries) for language, queries in PROBES.items()}
        self._decoys: dict[str, Decoys] = {}
        if compares_queries:
            for language, vectors in self._vectors.items():
                self._decoys[language] = Decoys.of(np.concatenate([vectors, encode(COMMANDS[language])]))
        self.readings = {
            language: _reading(
                encode([one for one, _ in pairs]), encode([other for _, other in pairs]), self._vectors[language]
            )
            for language, pairs in PARAPHRASES.items()
        }

    def measure(
        self,
        *,
        dense_best: Callable[[Sequence[NDArray[np.float32]]], Sequence[float | None]],
        lexical_best: Callable[[Sequence[str]], Sequence[float | None]],
        weight: float = 1.0,
    ) -> Baseline:
        """Searches an index for all probes; the callbacks return the best score of each, None if there is no hit.

        `weight` is the factor of the similarities of titles in dense scores.
        """
        languages = {}
        for language, queries in PROBES.items():
            decoys, vectors = self._decoys.get(language), self._vectors[language]
            if decoys is not None:
                decoys = decoys.unanswered(_scores(dense_best(list(decoys.vectors))), weight=weight)
            languages[language] = LanguageBaseline(
                reading=self.readings[language],
                dense=_scores(dense_best(list(vectors))),
                lexical=_scores(lexical_best(queries)),
                decoys=decoys,
            )
        return Baseline(languages)


def encode_probes(bundle: Bundle) -> EncodedProbes:
    """Returns the probes encoded by a bundle; uses their vectors in the bundle if it has them."""
    stored = bundle.probe_vectors(probes_file(), probe_texts())

    def encode(queries: Sequence[str]) -> NDArray[np.float32]:
        if stored is None:
            return bundle.encode_texts([(query, TextKind.QUERY) for query in queries])
        return np.stack([stored[query] for query in queries])

    manifest = bundle.manifest
    return EncodedProbes(encode, compares_queries=manifest.similarity == "cosine" and manifest.document is None)


def _scores(best: Sequence[float | None]) -> list[float]:
    return [score or 0.0 for score in best]


def _reading(ones: NDArray[np.float32], others: NDArray[np.float32], rest: NDArray[np.float32]) -> float:
    """Returns the share of `ones` whose nearest vector among `others` and `rest` is its paraphrase in `others`."""
    vectors = [each / np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-9) for each in (ones, others, rest)]
    nearest = (vectors[0] @ np.concatenate(vectors[1:]).T).argmax(axis=1)
    return float(np.mean(nearest == np.arange(len(ones))))
