from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from chaja.v1 import Field, Hit, Match
from server.catalogue.document import Document
from server.catalogue.partial import Fields
from server.http.pages.passages import AROUND_CHARACTERS, PASSAGE_CHARACTERS, Passage, passages_of

TEXT = "😀" * 100 + "여기가 맞아요" + "뒤" * 100
DOCUMENT = Document(
    id="a", title={"ko": "제목", "en": "A title"}, text={"ko": TEXT, "en": "x" * 5000}, examples=["하나", "둘"]
)


def fetch(
    sequences: Sequence[int], _revision: str, _fields: Fields | None
) -> dict[int, tuple[Document, NDArray[np.int32]]]:
    return {7: (DOCUMENT, np.zeros((0, 3), np.int32))} if 7 in sequences else {}


def passage_of(match: Match) -> Passage | None:
    hit = Hit(document_id="a", version=7, match=match)
    (found,) = passages_of([hit], "r1", fetch)
    return found


def test_a_passage_is_cut_out_with_the_text_around_it() -> None:
    # The positions count characters, also those that JavaScript counts as two.
    found = passage_of(Match(field=Field.FIELD_TEXT, language_code="ko", start=100, end=107))
    assert found == Passage(
        field="text",
        language_code="ko",
        before="😀" * AROUND_CHARACTERS,
        passage="여기가 맞아요",
        after="뒤" * AROUND_CHARACTERS,
        cut_before=True,
        cut_after=True,
    )


def test_a_title_and_an_example_are_shown_whole() -> None:
    title = passage_of(Match(field=Field.FIELD_TITLE, language_code="en", start=0, end=7))
    assert title is not None
    assert (title.field, title.passage, title.before, title.after) == ("title", "A title", "", "")
    assert (title.cut_before, title.cut_after) == (False, False)
    example = passage_of(Match(field=Field.FIELD_EXAMPLE, example="둘", start=0, end=1))
    assert example is not None
    assert (example.field, example.passage) == ("example", "둘")


def test_a_long_passage_is_cut() -> None:
    found = passage_of(Match(field=Field.FIELD_TEXT, language_code="en", start=0, end=4000))
    assert found is not None
    assert (len(found.passage), found.after, found.cut_after) == (PASSAGE_CHARACTERS, "", True)


@pytest.mark.parametrize(
    "hit",
    [
        Hit(document_id="a", version=7),
        Hit(document_id="a", version=8, match=Match(field=Field.FIELD_TITLE, language_code="en", end=7)),
        Hit(document_id="a", version=7, match=Match(field=Field.FIELD_TITLE, language_code="fr", end=7)),
    ],
    ids=["no match", "no such version", "no such part"],
)
def test_a_hit_without_a_passage(hit: Hit) -> None:
    assert passages_of([hit], "r1", fetch) == [None]
