"""The messages of readings: the numbers of `Interpretation` for their kinds, and whether a request wants them."""

from chaja.v1 import Interpretation, SearchRequest
from server.readings.reading import Kind

INTERPRETATION_OF = {
    Kind.KEYBOARD: Interpretation.INTERPRETATION_KEYBOARD,
    Kind.INITIALS: Interpretation.INTERPRETATION_INITIALS,
    Kind.UNFINISHED: Interpretation.INTERPRETATION_UNFINISHED,
    Kind.SPACES: Interpretation.INTERPRETATION_SPACES,
    Kind.TYPO: Interpretation.INTERPRETATION_TYPO,
}

KIND_OF: dict[int, Kind] = {number: kind for kind, number in INTERPRETATION_OF.items()}


def interprets(request: SearchRequest) -> bool:
    """Whether a request lets the server interpret its query."""
    return request.interpret or not request.HasField("interpret")
