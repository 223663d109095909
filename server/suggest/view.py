"""A view of the index of completions, which finds suggestions for a typed text."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.catalogue.languages import canonical_language, is_in_language
from server.suggest.completion import Source, Suggestion
from server.suggest.fitting import Fit, Passing, Searched
from server.suggest.run import LENGTH_BIT
from server.suggest.segment import Segment
from server.suggest.typed import Typed

RANKED_FIRST = 3
"""Words that are ranked at first, for each suggestion wanted: some have the same text, or do not pass a filter."""

MOST_FITS = 1024
"""Least words that are looked at before no more suggestions are sought: many may have equal texts."""

SOURCES = {int(source): source for source in Source}


class Stored(NamedTuple):
    """The fields of all completions, by number. `kept` is None as long as none was removed."""

    texts: Sequence[str]
    slots: NDArray[np.int32]
    sources: NDArray[np.uint8]
    languages: NDArray[np.uint16]
    weights: NDArray[np.float32]
    kept: NDArray[np.bool_] | None
    language_codes: Sequence[str]


class Filters(NamedTuple):
    """The completions that may be found: those that were not removed, of allowed slots and languages."""

    stored: Stored
    allowed: NDArray[np.bool_] | None
    languages: NDArray[np.bool_] | None

    def passing(self) -> Passing | None:
        """Returns the function that says which completions may be found; None if all may be."""
        all_pass = self.stored.kept is None and self.allowed is None and self.languages is None
        return None if all_pass else self._passing

    def _passing(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        passes = np.ones(len(numbers), np.bool_) if self.stored.kept is None else self.stored.kept[numbers]
        if self.allowed is not None:
            slots = self.stored.slots[numbers]
            passes &= self.allowed.take(slots, mode="clip") & (slots >= 0)
        if self.languages is not None:
            passes &= self.languages[self.stored.languages[numbers]]
        return passes


class PartOrder(NamedTuple):
    """The order of a suggestion among those of all parts of an index.

    Attributes:
        stage: The way in which the typed text fits; see `Searched.stages`.
        errors: Number of typing errors.
        by_initials: Whether initials fit.
        order: The word's rank without the completion's number.
        number: The word's rank, whose end is the number: it orders the completions of one document.
        start: Where the word begins in the completion.
    """

    stage: int
    errors: int
    by_initials: bool
    order: int
    number: int
    start: int


class PartSuggestion(NamedTuple):
    """A suggestion of one part of an index. Unless it always counts, it does only if nothing fits in stages before."""

    order: PartOrder
    always: bool
    suggestion: Suggestion


class SuggestView:
    """An immutable view, safe to use from many threads at once."""

    def __init__(self, segments: Sequence[Segment], stored: Stored) -> None:
        self._segments = segments
        self._stored = stored

    def __len__(self) -> int:
        """Returns the number of completions."""
        kept = self._stored.kept
        return len(self._stored.slots) if kept is None else int(np.count_nonzero(kept))

    def suggest(
        self,
        typed: str,
        *,
        limit: int,
        allowed: NDArray[np.bool_] | None = None,
        language: str | None = None,
        ranges: bool = True,
    ) -> list[Suggestion]:
        """Returns the completions that fit a typed text, the best first.

        They are ordered by kind, then by whether the first word fits, then by weight (descending); then titles come
        first, then shorter texts. A typing error is allowed only if nothing fits without, on either layout, and a
        second one only if nothing fits with one; but those with one error come first if letters make no syllable on
        either layout, and nothing fits on the own one. Of texts that differ only in case and spaces, the best is
        returned.

        Args:
            typed: The text typed so far. One above 256 code points fits nothing.
            limit: Most suggestions.
            allowed: For each slot, whether completions of its document may be found; None allows all, also those that
                belong to no document and have a slot below 0.
            language: Only completions in this language (a canonical code), in a part of it, in one that it is a part of
                and without one are found; None allows all.
            ranges: Whether suggestions have their ranges.
        """
        if limit < 1:
            return []
        searched = self._searched(allowed, language, limit)
        found = self._distinct(searched.fitting(typed), limit)
        return [self._suggestion(fit, text, ranges=ranges) for text, fit in found]

    def parts(
        self,
        typed: str,
        *,
        limit: int,
        allowed: NDArray[np.bool_] | None = None,
        language: str | None = None,
        ranges: bool = True,
        exact: bool = False,
    ) -> list[PartSuggestion]:
        """Returns what `suggest` or, if `exact`, `exact` needs of this part of an index; see `merged_suggestions`."""
        found: list[PartSuggestion] = []
        if limit < 1:
            return found
        for number, stage in enumerate(self._searched(allowed, language, limit).stages(typed)):
            if exact and number:
                break
            if stage.always or not found:
                for text, fit in self._distinct(stage.fits, limit):
                    order = PartOrder(number, fit.errors, fit.by_initials, fit.rank >> LENGTH_BIT, fit.rank, fit.start)
                    found.append(PartSuggestion(order, stage.always, self._suggestion(fit, text, ranges=ranges)))
        return found

    def exact(self, typed: str, *, limit: int, allowed: NDArray[np.bool_] | None = None) -> list[str]:
        """Returns the completions that fit a typed text on its own layout and without errors, in the same order."""
        searched = self._searched(allowed, None, limit)
        return [text for text, _ in self._distinct(searched.exact(Typed.of(typed)), limit)]

    def _searched(self, allowed: NDArray[np.bool_] | None, language: str | None, limit: int) -> Searched:
        codes = self._stored.language_codes
        languages = None if language is None else np.array([_is_wanted(code, language) for code in codes])
        filters = Filters(self._stored, allowed, languages)
        segments = self._segments if allowed is None or allowed.any() else ()
        return Searched(segments, self._stored.texts, filters.passing(), RANKED_FIRST * limit)

    def _distinct(self, fits: Iterator[Fit], limit: int) -> list[tuple[str, Fit]]:
        """Returns the texts of the first fits, each once; those that differ only in case and spaces count as one."""
        found: dict[str, tuple[str, Fit]] = {}
        for fit in islice(fits, max(MOST_FITS, 2 * limit)):
            text = self._stored.texts[fit.number]
            seen = key_of(text)
            if seen not in found:
                found[seen] = text, fit
                if len(found) == limit:
                    break
        return list(found.values())

    def _suggestion(self, fit: Fit, text: str, *, ranges: bool) -> Suggestion:
        stored, number = self._stored, fit.number
        return Suggestion(
            text,
            int(stored.slots[number]),
            SOURCES[int(stored.sources[number])],
            stored.language_codes[stored.languages[number]],
            float(stored.weights[number]),
            fit.kind,
            fit.errors,
            ((fit.start, fit.end(text)),) if ranges else (),
        )


def key_of(text: str) -> str:
    """Returns what texts have in common that differ only in case and spaces."""
    return "".join(text.casefold().split())


def _is_wanted(code: str, language: str) -> bool:
    return is_in_language(canonical_language(code), language) or is_in_language(language, code)
