"""What a score is worth: measured by queries that have nothing to do with any catalogue.

Similarities and BM25 scores mean nothing by themselves: with one model unrelated texts have a cosine of .05, with
another .8, and in a language that the model does not read it may be .6 for all. So the probes are asked of each index,
language by language, and a query's best score is held against theirs. A model reads a language well if it finds the
other half of a paraphrase among everything else.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.ranking.decoys import Decoys
from server.ranking.probes import COMMANDS, PARAPHRASES, PROBES

READS = 0.5
"""A model that finds so many of the paraphrases is held to read the language."""

DENSE_NOISE = 0.9
"""Share of the probes that a dense score must surpass to be more than noise, where there are no decoys."""

DENSE_FLOOR = 0.5
"""The same beside decoys, which find most of what is noise."""

LEXICAL_NOISE = 0.3
"""The same for a lexical score that stands alone. It is low, since people ask in other words than the catalogue's: that
a query shares few of them does not show that it has no answer."""

LEXICAL_OUTSTANDING = 0.95
"""The same for a lexical score beside a dense one that is noise: it takes a good one to outweigh that."""

SYLLABLE_LETTERS = 2
"""Latin letters that one Hangul syllable stands for, when it is asked what language a query is in."""


def language_of(query: str) -> str | None:
    """Returns which language's probes a query is held against, by its letters; None if by none."""
    korean = latin = other = 0
    for character in unicodedata.normalize("NFC", query):
        if not character.isalpha():
            continue
        if "\uac00" <= character <= "\ud7a3" or "\u1100" <= character <= "\u11ff" or "\u3130" <= character <= "\u318f":
            korean += SYLLABLE_LETTERS
        elif character < "\u0250" or "\u1e00" <= character <= "\u1eff":
            latin += 1
        else:
            other += SYLLABLE_LETTERS
    if other > korean + latin or not korean + latin + other:
        return None
    return "ko" if korean >= latin else "en"


class Evidence(NamedTuple):
    """How far a query's best scores stand out from those of unrelated queries.

    Attributes:
        reading: How well the model reads the query's language, from 0 to 1.
        dense: By how many standard deviations the best dense score is above the probes' mean; 0 where it is below.
        lexical: The same for the best lexical score.
    """

    reading: float
    dense: float
    lexical: float


class _Spread(NamedTuple):
    """Mean and standard deviation of some scores."""

    mean: float
    deviation: float

    def of(self, best: float | None) -> float:
        """Returns by how many standard deviations a score is above the mean; 0 if it is below, or none."""
        return 0.0 if best is None else max(0.0, (best - self.mean) / max(self.deviation, 1e-6))


@dataclass(frozen=True)
class LanguageBaseline:
    """What unrelated queries of one language score at best.

    Attributes:
        reading: How well the model reads the language, from 0 to 1.
        dense: The best dense score of each probe, ascending.
        lexical: The best lexical score of each probe, ascending; 0 where it has no hit.
        decoys: Queries that the catalogue does not answer; None where the model does not compare queries with queries
            as it compares them with documents.
    """

    reading: float
    dense: tuple[float, ...]
    lexical: tuple[float, ...]
    decoys: Decoys | None = None

    def dense_noise(self, vector: NDArray[np.float32] | None) -> float:
        """Returns the dense score that a query's best document must surpass to be more than noise."""
        if self.decoys is None or vector is None:
            return self._dense_quantiles[1]
        return max(self._dense_quantiles[0], self.decoys.bar(vector))

    @cached_property
    def _dense_quantiles(self) -> tuple[float, float]:
        floor, noise = np.quantile(self.dense, (DENSE_FLOOR, DENSE_NOISE)).tolist()
        return floor, noise

    @cached_property
    def lexical_noise(self) -> float:
        """The same for a lexical score that stands alone."""
        return float(np.quantile(self.lexical, LEXICAL_NOISE))

    @cached_property
    def lexical_outstanding(self) -> float:
        """The same for a lexical score beside a dense one that is noise."""
        return float(np.quantile(self.lexical, LEXICAL_OUTSTANDING))

    def evidence(self, dense_best: float | None, lexical_best: float | None) -> Evidence:
        """Returns how far the best scores of a query stand out."""
        return Evidence(self.reading, self._dense_spread.of(dense_best), self._lexical_spread.of(lexical_best))

    @cached_property
    def _dense_spread(self) -> _Spread:
        return _Spread(float(np.mean(self.dense)), float(np.std(self.dense)))

    @cached_property
    def _lexical_spread(self) -> _Spread:
        return _Spread(float(np.mean(self.lexical)), float(np.std(self.lexical)))


class Baseline:
    """What scores of one state of an index are worth; without languages, nothing is known of it yet. Immutable."""

    def __init__(self, languages: Mapping[str, LanguageBaseline]) -> None:
        self._languages = dict(languages)

    def evidence(self, query: str, *, dense_best: float | None, lexical_best: float | None) -> Evidence:
        """Returns how far the best score of each leg stands out; None or 0 where a leg has no hit."""
        if not self._languages:
            return Evidence(reading=1.0, dense=0.0, lexical=0.0)
        language = language_of(query)
        if language is None:  # Nothing is known of it: the mean of the languages that are.
            each = [known.evidence(dense_best, lexical_best) for known in self._languages.values()]
            return Evidence(*np.mean(each, axis=0).tolist())
        return self._languages[language].evidence(dense_best, lexical_best)

    def no_good_answer(
        self,
        query: str,
        vector: NDArray[np.float32] | None = None,
        *,
        dense_best: float | None,
        lexical_best: float | None,
    ) -> bool:
        """Says whether nothing that was found is likely to answer a query. When in doubt, it says no.

        `dense_best` is None in LEXICAL mode, and where nothing may be found at all. `lexical_best` is None in DENSE
        mode, and 0 if there is no hit.
        """
        if dense_best is None and not lexical_best:
            return True
        language = language_of(query)
        if language is None or not self._languages:
            return False
        known = self._languages[language]
        if dense_best is None or known.reading < READS:
            return lexical_best is not None and lexical_best <= known.lexical_noise
        outstanding = lexical_best is not None and lexical_best > known.lexical_outstanding
        return dense_best < known.dense_noise(vector) and not outstanding


class Probes:
    """The probes as a bundle sees them. Immutable; made once for each bundle.

    Attributes:
        readings: How well the model reads each language, from 0 to 1.
    """

    def __init__(
        self, encode: Callable[[Sequence[str]], NDArray[np.float32]], *, compares_queries: bool = False
    ) -> None:
        """Encodes the texts of `server.ranking.probes`, some 300 short ones, as queries.

        `encode` returns the vectors `[N, dimension]` of N queries. `compares_queries` says whether the similarity of
        two queries is on the scale of that of a query and a document, as with one encoder for both and the cosine.
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
        dense_best: Callable[[NDArray[np.float32]], float | None],
        lexical_best: Callable[[str], float | None],
        weight: float = 1.0,
    ) -> Baseline:
        """Asks all probes of an index, which returns the best score of each; None where it finds nothing.

        `weight` is the factor that the similarities of titles have in dense scores.
        """
        languages = {}
        for language, queries in PROBES.items():
            decoys = self._decoys.get(language)
            languages[language] = LanguageBaseline(
                reading=self.readings[language],
                dense=tuple(sorted(dense_best(vector) or 0.0 for vector in self._vectors[language])),
                lexical=tuple(sorted(lexical_best(query) or 0.0 for query in queries)),
                decoys=None if decoys is None else decoys.unanswered(dense_best, weight=weight),
            )
        return Baseline(languages)


def _reading(ones: NDArray[np.float32], others: NDArray[np.float32], rest: NDArray[np.float32]) -> float:
    """Returns the share of paraphrases that are nearest to their other half, among all other halves and the probes."""
    vectors = [each / np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-9) for each in (ones, others, rest)]
    nearest = (vectors[0] @ np.concatenate(vectors[1:]).T).argmax(axis=1)
    return float(np.mean(nearest == np.arange(len(ones))))
