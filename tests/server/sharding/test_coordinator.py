"""Shards answer as one index does: all fields are compared, the scores to the last bit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.attributes.filter import AllOf, Equals, Exists, In, Not
from server.catalogue.document import Document
from server.merchandising.rule import Rule as MerchandisingRule
from server.merchandising.view import MerchandisingView
from server.ranking.found import Found
from server.ranking.options import Asked, Fusion, Mode, SearchOptions
from server.ranking.query_rules import QueryRules
from server.ranking.search import search
from server.ranking.understanding import Understood, reading_of, understand
from server.synonyms.rule import Rule as SynonymRule
from server.synonyms.table import SynonymTable
from tests.server.catalogues import changes, encode, phrases
from tests.server.merchandising.making import boost, rule
from tests.server.sharding.making import Both

SECONDS = 1_700_000_000

TYPED = st.one_of(
    phrases,
    st.sampled_from(["ㅋㄷ", "카드 분시", "zkem", "카듸", "칻", "적금을 카 드", "lsot card", "체카", "ca", "카"]),
)
FILTERS = st.sampled_from(
    [
        None,
        Equals("category", "a"),
        Not(Equals("open", True)),
        In("tags", ("b", 1, "빨강")),
        AllOf((Exists("age"), Not(Equals("category", "b")))),
        Equals("catgeory", "a"),
    ]
)
FACETS = st.sampled_from([(), ("category",), ("tags", "age", "tgas"), ("open",)])

EFFECTS: list[dict[str, Any]] = [
    {"pinned_ids": ["d3", "d1"]},
    {"buried_ids": ["d2", "d5"], "buried_if": [{"attribute": "category", "value": "b"}]},
    {"boosts": [boost("age", 0.3), boost("category", 0.2, equals="a")]},
]
rules = st.lists(st.sampled_from(EFFECTS), min_size=1, max_size=3).map(
    lambda effects: rule(**{field: value for effect in effects for field, value in effect.items()})
)

options = st.builds(
    SearchOptions,
    limit=st.integers(1, 8),
    mode=st.sampled_from(list(Mode)),
    filter=FILTERS,
    min_score=st.sampled_from([None, None, 0.3, 0.8]),
    fusion=st.sampled_from(list(Fusion)),
    facets=FACETS,
    asked=st.sampled_from([None, Asked("", "")]),
    seconds=st.just(SECONDS),
)


def answers(state: Any, typed: str, options: SearchOptions) -> tuple[Understood, list[Found], list[str]]:
    """Returns how a query is understood, the pages of its result, and the suggestions for it."""
    reading = reading_of(typed, state, filter=options.filter)
    understood = understand(typed, reading, state, options.mode, language="ko")
    vector = encode([understood.text])[0]
    pages = []
    after = None
    for _ in range(3):
        asked = SearchOptions(**{**vars(options), "after": after})
        pages.append(search(state, understood.text, vector, asked, words=understood.words))
        if (after := pages[-1].end) is None:
            break
    suggested = state.corpus(options.filter).suggest(typed, limit=4, language=None, ranges=True)
    return understood, pages, [repr(each.suggestion._replace(slot=0)) + each.document_id for each in suggested]


catalogues = st.tuples(
    changes,
    st.lists(rules, max_size=1),
    st.sampled_from([(), ("체카 = 체크 카드", "lost -> 분실 신고")]).map(
        lambda texts: SynonymTable(each for each in map(SynonymRule.parse, texts) if each is not None)
    ),
)
queries = st.lists(st.tuples(TYPED, options), min_size=1, max_size=5)


@pytest.mark.parametrize("count", [1, 2, 5])
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(catalogue=catalogues, queries=queries)
def test_shards_answer_as_one_index_after_each_group_of_changes(
    count: int,
    catalogue: tuple[Sequence[Sequence[Document | str]], Sequence[MerchandisingRule], SynonymTable],
    queries: Sequence[tuple[str, SearchOptions]],
    tmp_path: Path,
) -> None:
    groups, merchandising, synonyms = catalogue
    both = Both(count, tmp_path)
    try:
        for place, group in enumerate(groups):
            changed = both.log.group(group)
            both.follow(changed, QueryRules(synonyms, MerchandisingView.of(merchandising, both.log.sequences_of)))
            if place == len(groups) // 2:
                both.measure()
            for typed, asked in queries:
                one = answers(both.one.state, typed, asked)
                assert answers(both.cluster.coordinator.state, typed, asked) == one
    finally:
        both.close()
