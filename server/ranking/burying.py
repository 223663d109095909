"""Moves the documents that rules bury to the end of a ranking."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

from server.attributes.filter import Equals
from server.merchandising.rule import Rule
from server.ranking.corpus import NOT_BURIED, Burial, Burying, Corpus, Part
from server.ranking.found import AppliedRule, Effect, FoundDocument
from server.ranking.legs import Legs, Ranker
from server.ranking.options import Mode
from server.ranking.position import BURIED


@dataclass(frozen=True, eq=False)
class Buried:
    """The documents that rules bury, and these rules."""

    burying: Burying
    rules: Sequence[Rule]

    def marked(self, found: Sequence[FoundDocument], corpus: Corpus) -> list[FoundDocument]:
        """Returns buried documents as they are in the ranking."""
        places = corpus.burial_places(self.burying, [each.sequence for each in found])
        return [
            each._replace(tier=BURIED, rules=(AppliedRule(self.rules[place].id, Effect.BURIED),))
            for each, place in zip(found, places, strict=True)
        ]


def burying_of(rules: Sequence[Rule], sequences: Mapping[str, int], *, pinned: tuple[int, ...]) -> Burying:
    """Returns what rules bury except for the pinned documents, given the sequences of documents by id."""
    burials = []
    for place, rule in enumerate(rules):
        own = tuple(sequences[id] for id in rule.buried_ids if id in sequences)
        conditions = tuple(Equals(each.attribute, each.value) for each in rule.buried_if)
        if own or conditions:
            burials.append(Burial(place, own, conditions))
    return Burying(tuple(burials), pinned)


def parts_of(ranker: Ranker, buried: Buried | None, *, depth: int) -> tuple[Legs, Callable[[], Legs]]:
    """Returns the legs of the documents that are not buried, and a function that returns those of the others."""
    if buried is None:
        return ranker.legs(depth=depth), lambda: Legs([])
    burying = buried.burying
    if ranker.options.mode is not Mode.HYBRID:
        first = ranker.legs(depth=depth, part=Part.OTHERS, burying=burying)
        return first, lambda: ranker.legs(depth=ranker.depth, part=Part.BURIED, burying=burying)
    # Fusion compares documents with each other: the scores of the others must not change because some are buried.
    found = ranker.legs(depth=depth).found
    places = ranker.corpus.burial_places(burying, [each.sequence for each in found])
    others, last = (
        list(compress(found, [(place == NOT_BURIED) is kept for place in places])) for kept in (True, False)
    )
    return _fused_legs(others), lambda: _fused_legs(last)


def _fused_legs(found: list[FoundDocument]) -> Legs:
    """Returns the legs of some of the candidates of HYBRID mode."""
    dense = [each.dense_score for each in found if each.dense_score is not None]
    lexical = [each.lexical_score for each in found if each.lexical_score is not None]
    return Legs(
        found, sorted(dense, reverse=True), sorted(lexical, reverse=True), titled=any(each.score > 1 for each in found)
    )
