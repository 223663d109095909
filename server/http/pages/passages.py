"""The passages that matched: cut out of the documents, with some text around them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chaja.v1 import Hit
from server.catalogue.document import Document, parts_of
from server.catalogue.partial import Fields
from server.rpc import hits
from server.rpc.hits import Fetch

FIELD_OF = {message: field for field, message in hits.FIELD_OF.items()}

AROUND_CHARACTERS = 80
"""Characters before and after a passage that are shown."""

PASSAGE_CHARACTERS = 1200
"""Characters of a passage that are shown at most."""

NEEDED = Fields(frozenset(["title", "text", "examples"]))


class Passage(msgspec.Struct, frozen=True):
    """The part of a document that matched. `cut` says at which ends text was left out."""

    field: str
    language_code: str
    before: str
    passage: str
    after: str
    cut_before: bool
    cut_after: bool


def passages_of(found: Iterable[Hit], revision: str, fetch: Fetch) -> list[Passage | None]:
    """Returns the passage of each hit; None if nothing matched, or the store no longer has the version. It blocks."""
    hits = list(found)
    fetched = fetch([hit.version for hit in hits if hit.HasField("match")], revision, NEEDED)
    return [
        _passage(hit, fetched[hit.version][0]) if hit.HasField("match") and hit.version in fetched else None
        for hit in hits
    ]


def _passage(hit: Hit, document: Document) -> Passage | None:
    match = hit.match
    field = FIELD_OF[match.field]
    for part in parts_of(document):
        if (part.field, part.language_code) != (field, match.language_code) or match.example not in ("", part.text):
            continue
        first, last = max(0, match.start - AROUND_CHARACTERS), match.end + AROUND_CHARACTERS
        passage, after = part.text[match.start : match.end], part.text[match.end : last]
        too_long = len(passage) > PASSAGE_CHARACTERS
        return Passage(
            field=field.value,
            language_code=match.language_code,
            before=part.text[first : match.start],
            passage=passage[:PASSAGE_CHARACTERS],
            after="" if too_long else after,
            cut_before=first > 0,
            cut_after=too_long or last < len(part.text),
        )
    return None
