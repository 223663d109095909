"""Two indexes of the same documents answer equally, whatever changes have made them."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.attributes.filter import Equals, Filter
from server.catalogue.document import Document
from server.live.index import LiveIndex
from server.ranking.options import Mode, SearchOptions
from server.ranking.search import search
from server.ranking.understanding import reading_of, understand
from tests.server.catalogues import Log, changes, empty_index, encode, phrases

TYPED = st.one_of(phrases, st.sampled_from(["ㅋㄷ", "카드 분시", "zkem", "카듸", "칻", "적금을 카 드", "lsot card"]))
FILTER = Equals("catgeory", "a")


@pytest.mark.parametrize("mode", list(Mode))
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=changes, typed=TYPED, filter=st.sampled_from([None, Equals("category", "a"), FILTER]))
def test_an_index_after_changes_answers_as_a_new_one(
    mode: Mode, groups: Sequence[Sequence[Document | str]], typed: str, filter: Filter | None, tmp_path: Path
) -> None:
    log = Log()
    changed, new = empty_index(tmp_path), empty_index(tmp_path)
    try:
        for group in groups:
            added, retired, sequence = log.group(group)
            changed.follow(added, retired, sequence=sequence)
        new.follow(log.live, [], sequence=log.sequence)
        assert _answer(changed, typed, filter, mode) == _answer(new, typed, filter, mode)
    finally:
        changed.close()
        new.close()


def _answer(index: LiveIndex, typed: str, filter: Filter | None, mode: Mode) -> object:
    index.measure()
    index.refresh()
    state = index.state
    understood = understand(typed, reading_of(typed, state, filter=filter), state, mode)
    options = SearchOptions(5, mode, filter, facets=("category", "tgas"))
    found = search(state, understood.text, encode([understood.text])[0], options, words=understood.words)
    counts = state.lexical.word_counts(["카드", "card", "적금을"]), state.lexical.documents_with(["카드", "card"])
    return understood, found, counts, state.lexical.has_terms([1, 2])
