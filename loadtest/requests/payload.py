"""The payload of a request: JSON with places for a query, made into the method's message.

`{{query}}` stands for the query's text, `{{name}}` for any other field of its line in the file,
`{{number}}` for the request's number. A string that is nothing but one place takes
the value as it is, number or list; within a longer string it is written out.

A call of several queries: a list of one element with a place in it is repeated for each
query; a method that takes a stream gets one message for each.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import EncodeError

from loadtest.errors import UsageError
from loadtest.requests.descriptors import descriptor_of
from loadtest.requests.method import Method
from loadtest.requests.queries import Query

PLACE = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
NUMBER = "number"
TEXT_FIELDS = ("query", "text", "queries", "texts")
"""Fields of a request message that take what is searched for."""

CACHED_PAYLOADS = 100_000


def default_template(descriptor: Descriptor) -> dict[str, Any]:
    """Returns the payload of a method whose request message has an obvious place for queries.

    That is a string field, or a list of them, called `query`, `text`, `queries` or `texts`, in the message itself
    or in the messages of a list in it. A message without one stays empty.
    """
    if template := _text_template(descriptor):
        return template
    for field in descriptor.fields:
        message = field.message_type
        if message is not None and field.is_repeated and not message.GetOptions().map_entry:
            inner = _text_template(message)
            if inner:
                return {field.name: [inner]}
    return {}


def _text_template(descriptor: Descriptor) -> dict[str, Any]:
    for field in descriptor.fields:
        if field.name in TEXT_FIELDS and field.type == FieldDescriptor.TYPE_STRING:
            return {field.name: ["{{query}}"] if field.is_repeated else "{{query}}"}
    return {}


class Payload:
    """Makes the serialized messages of a method's requests.

    Args:
        method: The method.
        template: Its payload as parsed JSON, an object or a string that is one place; `None` takes `default_template`.
    """

    def __init__(self, method: Method, template: Any = None) -> None:
        self._method = method
        self._message = method.request_class
        self._template = default_template(descriptor_of(self._message)) if template is None else template
        self.places = set(PLACE.findall(_written(self._template)))
        self._cache: dict[tuple[int, ...], list[bytes]] = {}

    def render(self, queries: Sequence[Query], number: int, *, key: tuple[int, ...] | None = None) -> list[bytes]:
        """Returns the messages of one call: one, or one for each query if the method takes a stream.

        Args:
            queries: The call's queries.
            number: The request's number.
            key: Names the queries; a payload of the same key is made only once.

        Raises:
            UsageError: A place names no field of the query, or the result does not fit the message.
        """
        if key is not None and NUMBER not in self.places:
            if key not in self._cache:
                if len(self._cache) >= CACHED_PAYLOADS:
                    self._cache.clear()
                self._cache[key] = self._messages(queries, number)
            return self._cache[key]
        return self._messages(queries, number)

    def _messages(self, queries: Sequence[Query], number: int) -> list[bytes]:
        groups = [[query] for query in queries] if self._method.client_streaming else [queries]
        return [self._serialize(fill(self._template, group, number)) for group in groups]

    def _serialize(self, payload: Any) -> bytes:
        message = self._message()
        try:
            json_format.ParseDict(payload, message)
            return message.SerializeToString()
        except (json_format.ParseError, EncodeError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"the payload does not fit {self._method.input_type}: {reason}") from None


def fill(template: Any, queries: Sequence[Query], number: int) -> Any:
    """Returns the template with its places filled by the first query, and its lists repeated for all of them.

    Raises:
        UsageError: A place names no field of a query.
    """
    if isinstance(template, Mapping):
        return {name: fill(value, queries, number) for name, value in template.items()}
    if isinstance(template, list):
        if len(template) == 1 and PLACE.search(_written(template)):
            return [fill(template[0], [query], number) for query in queries]
        return [fill(value, queries, number) for value in template]
    if not isinstance(template, str):
        return template
    if whole := PLACE.fullmatch(template):
        return _value(whole[1], queries[0], number)
    return PLACE.sub(lambda place: str(_value(place[1], queries[0], number)), template)


def parse_template(text: str, *, where: str) -> dict[str, Any]:
    """Returns the template of a JSON text.

    Raises:
        UsageError: It is no JSON object.
    """
    try:
        template = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{where}: not JSON: {error}") from None
    if not isinstance(template, dict):
        raise UsageError(f"{where}: expected a JSON object")
    return template


def _written(template: Any) -> str:
    """The template as text, in which places can be looked for: their names may be in any script."""
    return json.dumps(template, ensure_ascii=False)


def _value(name: str, query: Query, number: int) -> Any:
    if name in query.fields:
        return query.fields[name]
    if name == NUMBER:
        return number
    known = ", ".join(sorted({*query.fields, NUMBER}))
    raise UsageError(f"the payload has a place for {name}, but query {query.id} has only {known}")
