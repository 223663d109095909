"""Cuts a document into passages, each of which is encoded to one vector.

Each title, text and example query is a separate part. A part that is too long for the model is cut into overlapping
passages.
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
    encodables = []
    for part in parts_of(document):
        title = document.title_in(part.language_code) if title_separator and part.field is Field.TEXT else ""
        context = f"{title}{title_separator}" if title else ""
        encodables.append(Encodable(part, context, TextKind(part.field.value)))
    return encodables


def passages_of(document: Document, bundle: Bundle, *, overlap_tokens: int) -> Passages:
    """Cuts a document into its passages; raises UnfitPart if the model cannot encode one of its parts."""
    encodables = encodables_of(document, bundle.manifest.title_separator)
    parts = [each.part for each in encodables]
    spans: list[tuple[int, int, int]] = []
    texts: list[Text] = []
    for position, (part, context, kind) in enumerate(encodables):
        try:
            cuts = bundle.split(part.text, kind, before=context, overlap_tokens=overlap_tokens)
        except UnfitText as error:
            raise unfit_part(parts, position, str(error)) from None
        spans += [(position, start, end) for start, end in cuts]
        texts += [(context + part.text[start:end], kind) for start, end in cuts]
    return Passages(np.array(spans, dtype=np.int32).reshape(-1, 3), texts, parts)


def unfit_part(parts: Sequence[Part], position: int, reason: str) -> UnfitPart:
    """Returns the error of the part at a position."""
    field = parts[position].field
    return UnfitPart(field.value, sum(part.field is field for part in parts[:position]), reason)
