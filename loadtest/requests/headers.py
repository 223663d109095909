"""The headers (metadata) of each request, filled from templates such as `x-request-id: {{uuid}}`."""

from collections.abc import Sequence

from loadtest.requests.conversion import written
from loadtest.requests.placeholders import Draws
from loadtest.requests.queries import Query
from loadtest.requests.template import Template
from loadtest.target import Metadata, header

STREAM = 1
"""Random values of headers differ from those of the payload."""


class RequestHeaders:
    """Makes the headers of requests.

    Args:
        headers: Names and templates; a `-bin` header's value is base64.
        seed: Seed of the random values.

    Raises:
        UsageError: A template is malformed.
    """

    def __init__(self, headers: Sequence[tuple[str, str]], *, seed: int = 0) -> None:
        self._templates = [(name, Template(value)) for name, value in headers]
        self._seed = seed

    def render(self, query: Query, number: int) -> Metadata:
        """Returns the headers of a request of a query.

        Raises:
            UsageError: A placeholder cannot be filled, or a header's name or value is invalid.
        """
        draws = Draws(self._seed, number, stream=STREAM)
        return tuple([header(name, written(template.fill([query], draws))) for name, template in self._templates])
