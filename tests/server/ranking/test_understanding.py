from pathlib import Path

import pytest

from server.catalogue.document import Document
from server.encoding.bundle import Bundle
from server.ranking.options import Mode
from server.ranking.understanding import understand
from server.synonyms.table import SynonymTable
from tests.server.making import empty_index, versioned
from tests.server.synonyms.making import rule

TITLES = {"exchange": "환전하기", "account": "외화통장", "overdraft": "마이너스통장 개설"}


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("마통", "마이너스통장"),
        ("마통 만들기", "마이너스통장 만들기"),
        ("환전", "환전"),
        ("환전 수수료", "외화통장 수수료"),
    ],
)
def test_a_query_that_a_title_begins_with_is_not_rewritten(
    bundle: Bundle, tmp_path: Path, query: str, text: str
) -> None:
    index = empty_index(bundle, folder=tmp_path)
    documents = [Document(id=id, title={"ko": title}) for id, title in TITLES.items()]
    added = [versioned(bundle, document, sequence) for sequence, document in enumerate(documents, start=1)]
    index.follow(added, [], sequence=len(added))
    rules = index.state.rules._replace(synonyms=SynonymTable([rule("마통 -> 마이너스통장"), rule("환전 -> 외화통장")]))
    understood = understand(query, None, index.state._replace(rules=rules), Mode.HYBRID)
    index.close()
    assert understood.text == text
    assert understood.expansion is not None
    assert understood.words == f"{query} {understood.expansion.alternatives[0]}"
