"""Finds the words from which on completions fit a typed text, the best first."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.suggest.completion import Kind
from server.suggest.run import LATER_WORD, NUMBER_MASK, Run, least, numbers_of
from server.suggest.segment import KEY_INITIALS, KEY_LETTERS, Segment
from server.suggest.spelling import end_after, has_letters
from server.suggest.typed import Typed, on_other_layout, without_ending
from server.suggest.typing_errors import errors_allowed, fits_with_errors

MOST_READ = 128
"""Words whose text is read, the best ones, if their key is too short to decide whether they fit."""

MORE = 64
"""Factor by which more words are ranked if too few of the best ones are wanted."""

Passing = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
"""Returns which of these completions, given by number, may be found."""

Range = tuple[Run, int, int]
"""Words of a run, from a position to before another."""

Word = tuple[int, int]
"""A word's rank, and its place in the completion."""


class Fit(NamedTuple):
    """A word from which on a completion fits.

    Attributes:
        rank: The word's rank.
        kind: How the completion fits.
        errors: Number of typing errors.
        start: Where the word begins in the completion, in code points.
        length: How many letters fit, or initials if `by_initials`.
        by_initials: Whether initials fit.
    """

    rank: int
    kind: Kind
    errors: int
    start: int
    length: int
    by_initials: bool = False

    @property
    def number(self) -> int:
        """The completion's number."""
        return self.rank & NUMBER_MASK

    def end(self, text: str) -> int:
        """Returns where the part ends that fits, in code points of the completion."""
        return end_after(text, self.start, self.length, by_initials=self.by_initials)


@dataclass(frozen=True)
class Stage:
    """Words that fit in one way. Unless they always count, they do only if nothing fits in the stages before."""

    fits: Iterator[Fit]
    always: bool = False


class Searched(NamedTuple):
    """The segments that are searched, and the completions that may be found.

    Attributes:
        segments: The segments of the index.
        texts: The completions by number.
        passing: Says which completions may be found; None stands for all.
        first: Number of words that are ranked at first.
    """

    segments: Sequence[Segment]
    texts: Sequence[str]
    passing: Passing | None
    first: int

    def fitting(self, text: str) -> Iterator[Fit]:
        """Yields the words that fit a typed text, stage by stage."""
        found = False
        for stage in self.stages(text):
            if stage.always or not found:
                for fit in stage.fits:
                    found = True
                    yield fit

    def stages(self, text: str) -> Iterator[Stage]:
        """Yields the ways to fit a typed text: on its own layout, then on others; if none does, with errors.

        A Latin text is sooner mistyped than meant as Korean initials. Korean may go on with the ending of a request.
        """
        own = Typed.of(text)
        yield Stage(self.exact(own), always=True)
        others = [Typed.of(other) for other in on_other_layout(text)]
        if others and not own.has_syllables and not any(other.has_syllables for other in others):
            yield Stage(self.mistyped(own, most=1))
        for other in others:
            yield Stage((fit._replace(kind=Kind.KEYBOARD) for fit in self.exact(other)), always=True)
        if shorter := without_ending(text):
            yield Stage(self.exact(Typed.of(shorter)))
        # Seldom both readings are likely: on the wrong layout, few letters make syllables.
        likely = [] if own.is_korean else [other for other in others if not other.is_garbled]
        for typed in (own, *likely):
            yield Stage(self.mistyped(typed))

    def exact(self, typed: Typed) -> Iterator[Fit]:
        """Yields the words that fit without errors, by letters and then by initials."""
        if not typed.letters:
            return
        words = self._ranked(self._ranges("letters", typed.letters))
        count = len(typed.letters)
        if count > KEY_LETTERS:
            words = self._read(words, lambda text, place: has_letters(text, place, typed.letters))
        for rank, place in words:
            yield Fit(rank, Kind.WORD if rank & LATER_WORD else Kind.START, 0, place, count)
        if typed.has_initials:
            count = len(typed.initials)
            for rank, place in self._with_initials(typed):
                yield Fit(rank, Kind.INITIALS, 0, place, count, by_initials=True)

    def _with_initials(self, typed: Typed) -> Iterator[Word]:
        ranges = self._ranges("initials", typed.initials)
        if typed.only_initials and len(typed.initials) <= KEY_INITIALS:
            return self._ranked(ranges)
        by_letters = self._ranges("letters", typed.letters_of_syllables)
        return self._read(self._ranked(min(ranges, by_letters, key=_size)), typed.fits)

    def mistyped(self, typed: Typed, *, most: int = 2) -> Iterator[Fit]:
        """Yields the words that fit with one typing error; if there are none, and `most` allows it, those with two."""
        allowed = min(errors_allowed(typed.letters), most)
        if not allowed or typed.only_initials or not self.segments:
            return
        found = []
        of_segments = fits_with_errors(self.segments, typed.letters, allowed)
        for segment, fits in zip(self.segments, of_segments, strict=True):
            ranks, places = segment.letters.ranks[fits.positions], segment.letters.places[fits.positions]
            found.append((ranks, places, fits.errors, fits.letters))
        ranks, places, errors, letters = (np.concatenate(parts) for parts in zip(*found, strict=True))
        for count in range(1, allowed + 1):
            chosen = self._wanted(ranks, np.flatnonzero(errors == count))
            if not len(chosen):
                continue
            # The same word may occur several times.
            for position in chosen[np.lexsort((letters[chosen], places[chosen], ranks[chosen]))].tolist():
                yield Fit(int(ranks[position]), Kind.TYPO, count, int(places[position]), int(letters[position]))
            return

    def _ranges(self, by: Literal["letters", "initials"], letters: str) -> list[Range]:
        """Returns the ranges of words that begin with letters, or have initials that do."""
        runs = [segment.letters if by == "letters" else segment.initials for segment in self.segments]
        ranges = ((run, *run.beginning_with(letters)) for run in runs)
        return [(run, low, high) for run, low, high in ranges if low < high]

    def _ranked(self, ranges: Sequence[Range]) -> Iterator[Word]:
        """Yields the words of ranges that may be found, the best rank first."""
        total = _size(ranges)
        count, worst = self.first, 0
        while ranges:
            ranks, places = _best(ranges, count)
            order = self._wanted(ranks, np.lexsort((places, ranks)))
            for rank, place in zip(ranks[order].tolist(), places[order].tolist(), strict=True):
                if rank >= worst:  # The words with this rank, of the same completion, may not all have been yielded.
                    yield rank, place
            if count >= total:
                return
            worst = int(ranks.max())
            count *= MORE

    def _wanted(self, ranks: NDArray[np.uint64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the positions, of these, whose completions may be found."""
        return positions if self.passing is None else positions[self.passing(numbers_of(ranks[positions]))]

    def _read(self, words: Iterator[Word], fits: Callable[[str, int], bool]) -> Iterator[Word]:
        """Yields the words from which on the text fits, of the best `MOST_READ`."""
        for _, (rank, place) in zip(range(MOST_READ), words, strict=False):
            if fits(self.texts[rank & NUMBER_MASK], place):
                yield rank, place


def _best(ranges: Sequence[Range], count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint16]]:
    """Returns the ranks and places of the `count` best words of ranges, in any order."""
    best = [(run, run.best(low, high, count)) for run, low, high in ranges]
    if len(best) == 1:  # As in most calls.
        run, positions = best[0]
        return run.ranks[positions], run.places[positions]
    ranks = np.concatenate([run.ranks[positions] for run, positions in best])
    places = np.concatenate([run.places[positions] for run, positions in best])
    first = least(ranks, count)
    return ranks[first], places[first]


def _size(ranges: Sequence[Range]) -> int:
    return sum(high - low for _, low, high in ranges)
