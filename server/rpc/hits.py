"""Builds the hits of an answer."""

from __future__ import annotations

from collections.abc import Sequence

from chaja.v1 import Field, Hit
from chaja.v1 import Match as MatchMessage
from server.catalogue import document
from server.catalogue.catalogue import Catalogue
from server.index.exact import Match

FIELD_OF = {
    document.Field.TITLE: Field.FIELD_TITLE,
    document.Field.TEXT: Field.FIELD_TEXT,
    document.Field.EXAMPLE: Field.FIELD_EXAMPLE,
}

MAX_KEPT_HITS = 20_000
"""Some 20 MB. Attributes make a hit costly to build (9 µs) beside a copy of it (1 µs)."""


class Hits:
    """Builds hits of one catalogue, and keeps them for the next query that finds the same."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._kept: dict[tuple[int, str], Hit] = {}

    def of(self, matches: Sequence[Match], language_code: str) -> list[Hit]:
        """Returns the hits of some matches, with titles in a language."""
        hits = []
        for match in matches:
            hit = self._hit(match, language_code)
            hit.score = match.score  # The message that holds the hits copies them: the kept one may be changed again.
            hits.append(hit)
        return hits

    def _hit(self, match: Match, language_code: str) -> Hit:
        found = self.catalogue.documents[match.document]
        if language_code not in found.titles():
            language_code = ""  # Languages that nobody knows must not fill the memory.
        hit = self._kept.get((match.part, language_code))
        if hit is None:
            hit = self._build(match, language_code)
            if len(self._kept) >= MAX_KEPT_HITS:
                self._kept.clear()
            self._kept[match.part, language_code] = hit
        return hit

    def _build(self, match: Match, language_code: str) -> Hit:
        found, part = self.catalogue.documents[match.document], self.catalogue.parts[match.part]
        hit = Hit(
            document_id=found.id,
            title=found.title_in(language_code),
            match=MatchMessage(
                field=FIELD_OF[part.field],
                language_code=part.language_code,
                example=part.text if part.field is document.Field.EXAMPLE else "",
            ),
        )
        hit.attributes.update(found.attributes)
        return hit
