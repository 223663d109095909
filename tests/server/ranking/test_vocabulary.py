from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.attributes.filter import Equals
from server.catalogue.document import Document
from server.encoding.bundle import Bundle
from server.live.index import LiveIndex
from server.ranking.query_rules import NO_RULES
from server.ranking.vocabulary import CatalogueVocabulary
from tests.server.making import empty_index, versioned
from tests.server.synonyms.making import table

DOCUMENTS = [
    Document(id="lost", title={"ko": "카드 분실 신고"}, text="Report a lost card", attributes={"bank": "a"}),
    Document(id="new", title={"ko": "카드 병행 발급"}, examples=["새 카드 만들기"], attributes={"bank": "b"}),
    Document(id="odd", title={"ko": "ㅋㅋ"}, attributes={"bank": "b"}),
]
WORDS = {"카드", "분실", "신고", "report", "a", "lost", "card", "병행", "발급", "새", "만들기", "ㅋㅋ"}
PAIRS = {pair for word in WORDS for pair in pairwise(word)}


@pytest.fixture(scope="module")
def index(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveIndex]:
    index = empty_index(bundle, folder=tmp_path_factory.mktemp("index"))
    for sequence, document in enumerate(DOCUMENTS, start=1):
        index.follow([versioned(bundle, document, sequence)], [], sequence=sequence)
    yield index
    index.close()


@settings(deadline=None)
@given(words=st.lists(st.sampled_from([*sorted(WORDS), "카", "드분", "lo", "분실신고", "!", "새 카드"])))
def test_words_are_those_of_titles_texts_and_examples(index: LiveIndex, words: list[str]) -> None:
    vocabulary = CatalogueVocabulary(index.state)
    assert vocabulary.has_words(words) == [word in WORDS for word in words]


def test_words_for_which_rules_of_synonyms_add_others_are_known(index: LiveIndex) -> None:
    rules = NO_RULES._replace(synonyms=table("체카 -> 체크카드"))
    vocabulary = CatalogueVocabulary(index.state._replace(rules=rules))
    assert vocabulary.has_words(["체카", "체카로", "체크카드", "카드", "마통"]) == [True, True, False, True, False]


def test_words_are_counted_by_documents(index: LiveIndex) -> None:
    vocabulary = CatalogueVocabulary(index.state)
    assert vocabulary.document_counts(["카드", "분실", "드분", "card", "카드"]) == [2, 1, 0, 1, 2]
    assert vocabulary.document_counts([]) == []


def test_shares_are_of_the_pairs_in_words(index: LiveIndex) -> None:
    vocabulary = CatalogueVocabulary(index.state)
    assert vocabulary.pair_shares(["카드분", "분실", "새", "", "card!", "xyz"]) == [1 / 2, 1, 0, 0, 3 / 4, 0]


def test_an_empty_index_has_no_words(bundle: Bundle, tmp_path: Path) -> None:
    index = empty_index(bundle, folder=tmp_path)
    vocabulary = CatalogueVocabulary(index.state)
    assert vocabulary.has_words(["카드"]) == [False]
    assert vocabulary.has_words([]) == []
    assert vocabulary.pair_shares(["카드"]) == [0]
    assert vocabulary.complete("카", limit=3) == []
    index.close()


def test_a_text_is_completed_without_typing_errors(index: LiveIndex) -> None:
    vocabulary = CatalogueVocabulary(index.state)

    def texts(typed: str, limit: int = 9) -> list[str]:
        return [text for text, _ in vocabulary.complete(typed, limit=limit)]

    assert texts("카드 ㅂ") == ["카드 분실 신고", "카드 병행 발급"]
    assert texts("ㅋㄷ", limit=1) == ["카드 분실 신고"]
    assert texts("카두 분실") == []
    scores = [score for _, score in vocabulary.complete("카", limit=9)]
    assert scores == sorted(scores, reverse=True)


def test_only_documents_that_match_the_filter_complete_a_text(index: LiveIndex) -> None:
    vocabulary = CatalogueVocabulary(index.state, Equals("bank", "a"))
    assert [text for text, _ in vocabulary.complete("ㅋㄷ", limit=9)] == ["카드 분실 신고"]


def test_deleted_documents_complete_no_text(bundle: Bundle, tmp_path: Path) -> None:
    index = empty_index(bundle, folder=tmp_path)
    index.follow([versioned(bundle, DOCUMENTS[0], 1)], [], sequence=1)
    index.follow([], [1], sequence=2)
    assert CatalogueVocabulary(index.state).complete("ㅋㄷ", limit=9) == []
    index.close()
