import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalogue.document import AttributeValue, Document
from server.live.completions import SynonymCompletions, completions_of
from server.suggest.completion import Completion, Source
from server.suggest.index import SuggestIndex
from tests.server.synonyms.making import table


def test_titles_and_examples_are_completions_with_the_popularity_of_their_document() -> None:
    document = Document(
        id="a",
        title={"ko": "카드 분실", "en": "Lost card"},
        text="카드를 잃어버렸을 때",
        examples=["지갑을 두고 내렸어"],
        attributes={"popularity": 7, "category": "card"},
    )
    assert completions_of(document) == [
        Completion("카드 분실", Source.TITLE, "ko", 7.0),
        Completion("Lost card", Source.TITLE, "en", 7.0),
        Completion("지갑을 두고 내렸어", Source.EXAMPLE, "", 7.0),
    ]
    assert completions_of(Document(id="a", text="only a text")) == []


def test_long_texts_are_no_completions() -> None:
    document = Document(id="a", title={"ko": "카" * 1001, "en": "c" * 1000}, examples=["카드 " * 1000, "카드"])
    assert [each.text for each in completions_of(document)] == ["c" * 1000, "카드"]


@pytest.mark.parametrize("popularity", [None, True, "9", [9], float("nan"), float("inf"), -float("inf")])
def test_a_popularity_that_is_no_finite_number_is_0(popularity: AttributeValue | None) -> None:
    attributes = {} if popularity is None else {"popularity": popularity}
    assert completions_of(Document(id="a", title="카드", attributes=attributes)) == [Completion("카드")]


def test_popularities_of_any_size_order_suggestions() -> None:
    index = SuggestIndex()
    popularities = [0.0, -1e308, 1e308, 2, -3, 2**53]
    for slot, popularity in enumerate(popularities):
        document = Document(id="a", title=f"카드 {slot}", attributes={"popularity": popularity})
        index.add([(slot, completions_of(document))])
    found = [popularities[each.slot] for each in index.view().suggest("카", limit=9)]
    assert found == sorted(popularities, reverse=True)


@given(st.lists(st.sets(st.sampled_from(["가 = 나", "가 -> 다", "en: a = b", "라 = 마 = 가"])), max_size=6))
def test_the_phrases_of_the_newest_synonyms_are_completions(tables: list[set[str]]) -> None:
    index, synonyms = SuggestIndex(), SynonymCompletions()
    index.add([(0, [Completion("바")])])
    for texts in tables:
        synonyms.follow(rules := table(*texts), index)
        for letter in "가나다라마ab":
            found = index.view().suggest(letter, limit=9)
            exact = [each for each in found if each.text == letter]
            assert bool(exact) == any(letter in rule.phrases for rule in rules.rules)
            assert all((each.source, each.slot < 0) == (Source.SYNONYM, True) for each in exact)
        assert len(index) == 1 + sum(len(rule.phrases) for rule in rules.rules)
    assert index.view().suggest("바", limit=9)


def test_the_phrases_of_a_synonym_are_in_the_language_of_its_rule() -> None:
    index = SuggestIndex()
    SynonymCompletions().follow(table("en: wallet = purse"), index)
    assert [each.language for each in index.view().suggest("wal", limit=9, language="en-us")] == ["en"]
    assert index.view().suggest("wal", limit=9, language="ko") == []
