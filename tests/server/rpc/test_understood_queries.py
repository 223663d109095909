from collections.abc import Iterator
from pathlib import Path

import pytest

from server.attributes.filter import Equals
from server.catalogue.document import Document
from server.encoding.bundle import Bundle
from server.live.index import LiveIndex
from server.ranking.options import Mode
from server.ranking.state import State
from server.rpc.understood_queries import KEPT_CHARACTERS, UnderstoodQueries
from server.synonyms.table import SynonymTable
from tests.server.making import empty_index, versioned
from tests.server.synonyms.making import rule


@pytest.fixture
def index(bundle: Bundle, tmp_path: Path) -> Iterator[LiveIndex]:
    index = empty_index(bundle, folder=tmp_path)
    add(bundle, index, "카드 분실 신고")
    yield index
    index.close()


def add(bundle: Bundle, index: LiveIndex, title: str) -> None:
    sequence = index.state.sequence + 1
    document = Document(id=title, title={"ko": title}, attributes={"kind": title})
    index.follow([versioned(bundle, document, sequence)], [], sequence=sequence)


def searched(queries: UnderstoodQueries, state: State, typed: str, *, mode: Mode = Mode.HYBRID) -> str:
    return queries.understand(typed, state, mode=mode, language="").text


def test_a_query_that_repeats_is_understood_once(index: LiveIndex) -> None:
    queries = UnderstoodQueries()
    first = queries.understand("zkem qnstlf", index.state, mode=Mode.HYBRID, language="ko")
    assert first.text == "카드 분실"
    assert queries.understand("zkem qnstlf", index.state, mode=Mode.HYBRID, language="ko") is first


def test_a_new_document_changes_what_is_understood(bundle: Bundle, index: LiveIndex) -> None:
    queries = UnderstoodQueries()
    assert searched(queries, index.state, "dlcp gksehfmf") == "dlcp gksehfmf"
    add(bundle, index, "이체 한도를 바꾸기")
    assert searched(queries, index.state, "dlcp gksehfmf") == "이체 한도를"


def test_a_new_rule_changes_what_is_understood(index: LiveIndex) -> None:
    queries, state = UnderstoodQueries(), index.state
    assert searched(queries, state, "민증") == "민증"
    rules = state.rules._replace(synonyms=SynonymTable([rule("민증 -> 카드 분실")]))
    assert searched(queries, state._replace(rules=rules), "민증") == "카드 분실"
    assert searched(queries, state, "민증") == "민증", (
        "an older state, such as that of a slower call, has its own rules"
    )


def test_modes_languages_and_filters_are_understood_apart(index: LiveIndex) -> None:
    queries, state = UnderstoodQueries(), index.state
    rules = state.rules._replace(synonyms=SynonymTable([rule("en: cc -> credit card")]))
    state = state._replace(rules=rules)
    texts = {
        language: queries.understand("cc", state, mode=Mode.HYBRID, language=language).text for language in ("en", "ko")
    }
    assert texts == {"en": "credit card", "ko": "cc"}
    words = {mode: queries.understand("카드 분싱", state, mode=mode, language="").words for mode in Mode}
    assert words == {Mode.DENSE: "카드 분싱", Mode.LEXICAL: "카드 분실", Mode.HYBRID: "카드 분실"}
    for filter, text in ((None, "카드 분실 신고"), (Equals("kind", "none"), "ㅋㄷㅂㅅ")):
        assert queries.understand("ㅋㄷㅂㅅ", state, mode=Mode.DENSE, language="", filter=filter).text == text


def test_long_queries_are_not_kept(index: LiveIndex) -> None:
    queries, long = UnderstoodQueries(), "카드 " * KEPT_CHARACTERS
    once, again = (queries.understand(long, index.state, mode=Mode.DENSE, language="") for _ in range(2))
    assert once == again
    assert once is not again
