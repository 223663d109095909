"""Made-up documents, changes, rules and queries, with vectors that need no model. Equal seeds make equal ones."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.suggest.titles import titles
from server.attributes.filter import AllOf, AnyOf, Equals, Filter, In, Not, Range
from server.catalogue.document import Document, parts_of
from server.catalogue.encoded import Vectors, Versioned
from server.lexical.tokens import terms_of
from server.merchandising.rule import Rule as MerchandisingRule
from server.ranking.options import Asked, Fusion, SearchOptions
from server.synonyms.rule import Rule as SynonymRule

DIMENSION = 64

TERM_VECTORS = 2**16
"""Different vectors of terms: the vector of a text is the sum of those of its terms."""

SECONDS = 1_700_000_000

NARROW = AllOf((Range("age", lower=18), Not(Equals("open", True)), In("tags", ("t1", "t5"))))

FILTERS: tuple[Filter | None, ...] = (None, AnyOf((Equals("category", "c3"), NARROW)), Equals("catgeory", "c3"))
"""No filter, one with most kinds of conditions, and one with a misspelt name."""

RULES = 200

DELETED_SHARE = 0.3
"""Share of changes that delete a document."""


class Query(NamedTuple):
    """A typed text, and how it is searched; the mode and the filter are replaced."""

    text: str
    options: SearchOptions


class Encoder:
    """Encodes texts: those that share terms are near each other."""

    def __init__(self) -> None:
        self._vectors = np.random.default_rng(0).normal(size=(TERM_VECTORS, DIMENSION)).astype(np.float32)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns the vectors `[N, DIMENSION]` of texts."""
        sums = np.full((len(texts), DIMENSION), 0.1, np.float32)
        codes, owners = terms_of(texts)
        np.add.at(sums, owners, self._vectors[(codes % TERM_VECTORS).astype(np.int64)])
        vectors: NDArray[np.float32] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return vectors

    def version(self, document: Document, sequence: int) -> Versioned:
        """Returns a version of a document with a vector for each part."""
        parts = parts_of(document)
        spans = np.array([[place, 0, len(part.text)] for place, part in enumerate(parts)], np.int32)
        return Versioned(sequence, document, Vectors(spans, self.encode([part.text for part in parts])))


class Group(NamedTuple):
    """A group of changes."""

    added: list[Versioned]
    retired: list[int]
    sequence: int


class Catalogue:
    """Documents that change. `sequences` has the sequence of each by id."""

    def __init__(self, encoder: Encoder, count: int) -> None:
        self._encoder, self._random = encoder, Random(3)
        self._texts = titles(2 * count)
        self._ids = [f"d{number}" for number in range(count)]
        self._sequence = 0
        self.sequences: dict[str, int] = {}

    def all(self, size: int) -> Iterator[Group]:
        """Yields groups of `size` that write all documents."""
        for start in range(0, len(self._ids), size):
            yield self._group(self._ids[start : start + size], deleted=set())

    def change(self, size: int) -> Group:
        """Returns a group that writes or deletes so many documents."""
        ids = self._random.sample(self._ids, size)
        return self._group(ids, deleted={id for id in ids if self._random.random() < DELETED_SHARE})

    def rules(self) -> list[MerchandisingRule]:
        """Returns rules for words of titles, and one for every query."""
        made = []
        for number in range(RULES):
            content = {"id": f"r{number}", "query": self._random.choice(self._random.choice(self._texts).split())}
            effects: list[dict[str, object]] = [
                {"pinned_ids": self._random.sample(self._ids, 2)},
                {"buried_ids": self._random.sample(self._ids, 3), "buried_if": [{"attribute": "open", "value": True}]},
                {"boosts": [{"attribute": "popularity", "share": 0.3, "half_value": 10}]},
            ]
            made.append(content | {"match": "contains"} | self._random.choice(effects))
        return [MerchandisingRule.read(msgspec.json.encode(each)) for each in made]

    def synonyms(self) -> list[SynonymRule]:
        """Returns synonyms of words of titles."""
        words = [self._random.choice(self._random.choice(self._texts).split()) for _ in range(2 * RULES)]
        pairs = zip(words[::2], words[1::2], strict=True)
        read = (SynonymRule.parse(f"{one} = {other}") for one, other in pairs if one != other)
        return [rule for rule in read if rule is not None]

    def _group(self, ids: Sequence[str], deleted: set[str]) -> Group:
        added, retired = [], []
        for id in ids:
            before = self.sequences.pop(id, None)
            retired += [before] if before is not None else []
            if id in deleted and before is None:
                continue
            self._sequence += 1
            if id not in deleted:
                added.append(self._encoder.version(self._document(id), self._sequence))
                self.sequences[id] = self._sequence
        return Group(added, retired, self._sequence)

    def _document(self, id: str) -> Document:
        random = self._random
        one, other, third = random.choices(self._texts, k=3)
        return Document(
            id=id,
            title={"ko": one, "en": other} if random.random() < 0.5 else one,
            text=f"{third} {one}",
            examples=[other] if random.random() < 0.3 else [],
            attributes={
                "category": f"c{random.randrange(20)}",
                "age": random.randrange(60),
                "open": random.random() < 0.2,
                "tags": [f"t{random.randrange(10)}" for _ in range(random.randrange(3))],
                "popularity": random.randrange(100),
            },
        )


def queries(count: int) -> list[Query]:
    """Returns queries: words of titles, some of them mistyped or cut, with various options."""
    random = Random(5)
    texts = titles(4 * count, seed=1)
    made = []
    for _ in range(count):
        words = random.choice(texts).split()
        text = " ".join(random.sample(words, random.randint(1, len(words))))
        if random.random() < 0.3:
            place = random.randrange(len(text))
            text = text[:place] + text[place + 1 :] if random.random() < 0.5 else text[: place + 1]
        asked = Asked(text, "") if random.random() < 0.5 else None
        options = SearchOptions(
            random.choice((5, 10, 10, 30)),
            min_score=random.choice((None, None, None, 0.3)),
            fusion=random.choice((Fusion.WEIGHTED_SUM, Fusion.WEIGHTED_SUM, Fusion.RECIPROCAL_RANK)),
            facets=random.choice(((), (), ("category",), ("tags", "age"))),
            asked=asked,
            seconds=SECONDS,
        )
        made.append(Query(text.strip() or "카드", options))
    return made
