import re
import unicodedata

import pytest

from export.labelled_queries import LabelledQuery, load_labelled_queries
from server.catalogue.catalogue import load_catalogue
from server.catalogue.document import Document, parts_of
from tests.conftest import SAMPLE_CATALOGUE, SAMPLE_QUERIES
from tests.sample.generic_words import ENGLISH, KOREAN

STEM_SYLLABLES = 2
STEM_LETTERS = 5


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return load_catalogue(SAMPLE_CATALOGUE)


@pytest.fixture(scope="module")
def queries(documents: list[Document]) -> list[LabelledQuery]:
    return load_labelled_queries(SAMPLE_QUERIES, documents)


def specific_words(text: str) -> set[str]:
    """Returns the beginnings of a text's words, without function words and the most general nouns."""
    found = set()
    for word in re.findall(r"[가-힣]+|[a-z]+", unicodedata.normalize("NFC", text).casefold()):
        if "가" <= word[0] <= "힣":
            if len(word) >= STEM_SYLLABLES and word[:STEM_SYLLABLES] not in KOREAN:
                found.add(word[:STEM_SYLLABLES])
        elif len(word) >= 3 and word not in ENGLISH:
            found.add(word[:STEM_LETTERS])
    return found


def test_there_are_enough_services_and_each_is_complete_in_both_languages(documents: list[Document]) -> None:
    assert len(documents) >= 200
    for document in documents:
        assert list(document.titles()) == ["ko", "en"], document.id
        assert list(document.texts()) == ["ko", "en"], document.id
        assert 3 <= len(document.examples) <= 6, document.id
        assert {"category", "link"} <= set(document.attributes), document.id


def test_no_two_services_are_the_same(documents: list[Document]) -> None:
    for language in ("ko", "en"):
        titles = [document.titles()[language] for document in documents]
        assert len(set(titles)) == len(titles), sorted(title for title in titles if titles.count(title) > 1)


def test_there_are_enough_queries_and_two_thirds_are_korean(queries: list[LabelledQuery]) -> None:
    assert len(queries) >= 300
    assert {query.language for query in queries} == {"ko", "en"}
    assert 0.6 <= sum(query.language == "ko" for query in queries) / len(queries) <= 0.7


def test_most_services_answer_a_query(documents: list[Document], queries: list[LabelledQuery]) -> None:
    wanted = {id for query in queries for id in query.relevant}
    assert len(wanted) >= 0.9 * len(documents)


def test_queries_do_not_repeat_the_words_of_their_documents(
    documents: list[Document], queries: list[LabelledQuery]
) -> None:
    words_of = {
        document.id: set().union(*(specific_words(part.text) for part in parts_of(document))) for document in documents
    }
    for query in queries:
        for id in query.relevant:
            assert not specific_words(query.query) & words_of[id], (query.query, id)
