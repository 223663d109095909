"""Cuts a document into passages, each of which is encoded to one vector.

Each title, text and example query is a separate part. A part that is too long for the model is cut into overlapping
passages. With --passage-tokens, a text that has more tokens is also cut into short passages. Alone, they would not say
what the document is about: they follow its title.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.catalogue.document import Document, Field, Part, parts_of
from server.encoding.bundle import Bundle
from server.encoding.kind import TextKind
from server.errors import UnfitPart, UnfitText

Text = tuple[str, TextKind]
"""The encoder's input: a text and its kind."""


class Passages(NamedTuple):
    """The passages of a document; `spans` as in `Vectors`, whose `matrix` has the vectors of `texts`."""

    spans: NDArray[np.int32]
    texts: list[Text]
    parts: list[Part]


TITLE_SEPARATOR = " "
"""Separates a title from a passage if the bundle has no separator."""


class Encodable(NamedTuple):
    """A part of a document as it is encoded: with the context before it and its kind."""

    part: Part
    context: str
    kind: TextKind

    @property
    def text(self) -> Text:
        """The encoder's input if the part is not cut."""
        return self.context + self.part.text, self.kind


def encodables_of(document: Document, title_separator: str | None) -> list[Encodable]:
    """Returns the parts of a document as they are encoded.

    With a `title_separator`, a text follows its title: the one in its language, or else the first.
    """
    return [
        Encodable(part, _context(document, part, title_separator), TextKind(part.field.value))
        for part in parts_of(document)
    ]


def _context(document: Document, part: Part, title_separator: str | None) -> str:
    """Returns the title and the separator that are put before a text; nothing before other parts."""
    title = document.title_in(part.language_code) if title_separator and part.field is Field.TEXT else ""
    return f"{title}{title_separator}" if title else ""


def passages_of(document: Document, bundle: Bundle) -> Passages:
    """Cuts a document into its passages; raises UnfitPart if the model cannot encode one of its parts."""
    encodables = encodables_of(document, bundle.manifest.title_separator)
    parts = [each.part for each in encodables]
    spans: list[tuple[int, int, int]] = []
    texts: list[Text] = []
    for position, (part, context, kind) in enumerate(encodables):
        try:
            cuts = [(context, *cut) for cut in bundle.split(part.text, kind, before=context)]
        except UnfitText as error:
            raise unfit_part(parts, position, str(error)) from None
        if kind is TextKind.TEXT and bundle.cutting.passage_tokens:
            cuts += _short_passages(part, context or _context(document, part, TITLE_SEPARATOR), bundle)
        spans += [(position, start, end) for _, start, end in cuts]
        texts += [(before + part.text[start:end], kind) for before, start, end in cuts]
    return Passages(np.array(spans, dtype=np.int32).reshape(-1, 3), texts, parts)


def _short_passages(part: Part, context: str, bundle: Bundle) -> list[tuple[str, int, int]]:
    """Returns the passages that a text has besides itself: the context, start and end of each. A short text has none.

    They have no context if it is longer than they are, or leaves no room for them.
    """
    fixed, most_tokens = bundle.fixed_tokens[TextKind.TEXT], bundle.cutting.passage_tokens
    room = bundle.manifest.tower(TextKind.TEXT.side).max_tokens - fixed
    if most_tokens >= room:
        return []  # The model's own passages are no longer.
    if bundle.tokenize([(context, TextKind.TEXT)])[0].whole_count - fixed > min(most_tokens, room - most_tokens):
        context = ""
    cuts = bundle.split(part.text, TextKind.TEXT, before=context, most_tokens=most_tokens)
    return [(context, *cut) for cut in cuts] if len(cuts) > 1 else []


def unfit_part(parts: Sequence[Part], position: int, reason: str) -> UnfitPart:
    """Returns the error of the part at a position."""
    field = parts[position].field
    return UnfitPart(field.value, sum(part.field is field for part in parts[:position]), reason)
