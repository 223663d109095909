"""The baseline of scores: the best scores of probes, queries that are unrelated to any catalogue.

A cosine or a BM25 score means nothing alone: unrelated texts have a cosine near 0 with one model; with another, or in a
language that the model does not read, they have nearly that of related texts. So the server searches each index for
the probes of each language, and compares a query's best score with theirs. A model reads a language well if, given
the first text of a paraphrase, it finds the second among all other texts.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from server.ranking.decoys import Decoys
from server.ranking.language import language_of

MIN_READING = 0.5
"""Share of the paraphrases that a model must find to count as reading the language."""

DENSE_NOISE = 0.9
"""Share of the probes that a dense score must exceed to be more than noise, if there are no decoys."""

DENSE_FLOOR = 0.5
"""The same if there are decoys, which detect most noise."""

LEXICAL_NOISE = 0.3
"""Share of the probes that a lexical score alone must exceed to be more than noise. It is low, since people use other
words than the catalogue: a query that shares few words with it may still have an answer."""

LEXICAL_OUTSTANDING = 0.95
"""Share of the probes that a lexical score must exceed to outweigh a dense score that is noise."""


class Evidence(NamedTuple):
    """Comparison of a query's best scores with those of unrelated queries.

    Attributes:
        reading: Share of paraphrases that the model finds in the query's language, from 0 to 1.
        dense: Distance of the best dense score above the probes' mean, in standard deviations; 0 if it is below.
        lexical: The same for the best lexical score.
    """

    reading: float
    dense: float
    lexical: float


class _Spread(NamedTuple):
    """Mean and standard deviation of some scores."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, scores: Sequence[float]) -> Self:
        """Returns the spread of these scores."""
        return cls(float(np.mean(scores)), max(float(np.std(scores)), 1e-6))

    def deviations(self, best: float | None) -> float:
        """Returns the distance of a score above the mean, in standard deviations; 0 if it is below or None."""
        return 0.0 if best is None else max(0.0, (best - self.mean) / self.deviation)


class LanguageBaseline:
    """The best scores of unrelated queries in one language.

    Attributes:
        reading: Share of paraphrases that the model finds in the language, from 0 to 1.
        lexical_noise: The threshold that a lexical score alone must exceed to be more than noise.
        lexical_outstanding: The threshold that a lexical score must exceed to outweigh a dense score that is noise.
        decoys: Queries that the catalogue does not answer; None if similarities of two queries are not comparable with
            those of a query and a document.
    """

    def __init__(
        self, *, reading: float, dense: Sequence[float], lexical: Sequence[float], decoys: Decoys | None = None
    ) -> None:
        """Takes the best dense and lexical score of each probe; 0 for a probe without a hit."""
        self.reading = reading
        self.decoys = decoys
        self._dense, self._lexical = _Spread.of(dense), _Spread.of(lexical)
        self._dense_floor, self._dense_noise = map(float, np.quantile(dense, (DENSE_FLOOR, DENSE_NOISE)))
        quantiles = np.quantile(lexical, (LEXICAL_NOISE, LEXICAL_OUTSTANDING))
        self.lexical_noise, self.lexical_outstanding = map(float, quantiles)

    def dense_noise(self, vector: NDArray[np.float32] | None) -> float:
        """Returns the dense score that a query's best document must exceed to be more than noise."""
        if self.decoys is None or vector is None:
            return self._dense_noise
        return max(self._dense_floor, self.decoys.threshold(vector))

    def evidence(self, dense_best: float | None, lexical_best: float | None) -> Evidence:
        """Compares the best scores of a query with the probes'."""
        return Evidence(self.reading, self._dense.deviations(dense_best), self._lexical.deviations(lexical_best))


class Baseline:
    """The baseline of one state of an index. Without languages, it is not measured yet. Immutable."""

    def __init__(self, languages: Mapping[str, LanguageBaseline]) -> None:
        self._languages = dict(languages)

    def evidence(self, query: str, *, dense_best: float | None, lexical_best: float | None) -> Evidence:
        """Compares the best score of each leg with the probes'. Pass None or 0 for a leg without a hit."""
        if not self._languages:
            return Evidence(reading=1.0, dense=0.0, lexical=0.0)
        language = language_of(query)
        if language is None:  # Uses the mean of the known languages.
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
        """Returns whether probably none of the found documents answers a query; False if in doubt.

        `dense_best` is None in LEXICAL mode, and if no document may be found at all. `lexical_best` is None in DENSE
        mode, and 0 if there is no hit.
        """
        if dense_best is None and not lexical_best:
            return True
        language = language_of(query)
        if language is None or not self._languages:
            return False
        known = self._languages[language]
        if dense_best is None or known.reading < MIN_READING:
            return lexical_best is not None and lexical_best <= known.lexical_noise
        outstanding = lexical_best is not None and lexical_best > known.lexical_outstanding
        return dense_best < known.dense_noise(vector) and not outstanding
