"""The choices of the search page: languages, example queries, and attributes with their values."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from server.catalogue.partial import Fields
from server.engine import Engine
from server.http.pages.attributes import AttributeValues, attributes_of
from server.ranking.state import State
from server.rpc.hits import Fetch

SAMPLED_DOCUMENTS = 200
"""Documents that are read for languages and examples."""

SHOWN_EXAMPLES = 6

NEEDED = Fields(frozenset(["title", "examples"]))


class Options(msgspec.Struct, frozen=True):
    """The choices of the page. `languages` are those of the titles of some documents."""

    model: str
    documents: int
    max_limit: int
    languages: list[str]
    examples: list[str]
    attributes: list[AttributeValues]


class _Key(NamedTuple):
    revision: str
    sequence: int


class OptionsReader:
    """Reads the options. One thread uses it; it blocks."""

    def __init__(self, fetch: Fetch, *, max_limit: int) -> None:
        self._fetch = fetch
        self._max_limit = max_limit
        self._last: tuple[_Key, Options] | None = None

    def read(self, engine: Engine) -> Options:
        """Returns the options of the present catalogue."""
        state, revision = engine.index.state, engine.manifest.revision
        assert isinstance(state, State), "a server with pages has all documents"
        key = _Key(revision, state.sequence)
        if self._last is None or self._last[0] != key:
            sequences = state.slots.sequences[state.slots.live]
            step = max(1, len(sequences) // SAMPLED_DOCUMENTS)
            languages, examples = self._sample(sequences[::step][:SAMPLED_DOCUMENTS].tolist(), revision)
            options = Options(
                model=engine.manifest.name,
                documents=state.slots.live_count,
                max_limit=self._max_limit,
                languages=languages,
                examples=examples,
                attributes=attributes_of(state.columns, state.slots.live),
            )
            self._last = key, options
        return self._last[1]

    def _sample(self, sequences: list[int], revision: str) -> tuple[list[str], list[str]]:
        languages: dict[str, None] = {}
        examples: list[str] = []
        fetched = self._fetch(sequences, revision, NEEDED)
        for document, _ in (fetched[sequence] for sequence in sequences if sequence in fetched):
            languages |= dict.fromkeys(filter(None, document.titles()))
            examples += document.examples[:1]
        step = max(1, len(examples) // SHOWN_EXAMPLES)
        return sorted(languages), examples[::step][:SHOWN_EXAMPLES]
