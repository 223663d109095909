"""The payload of a request: JSON with placeholders for a query, converted to the method's message.

`{{query}}` stands for the query's text, `{{name}}` for any other field of its line in the file, `{{number}}` for the
request's number. A string that consists of one placeholder takes the value with its type, such as number or list. In
a longer string, the value is inserted as text.

In a call of several queries, a list of one element with a placeholder is repeated for each query. A method that takes
a stream gets one message for each query.
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

PLACEHOLDER = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
NUMBER = "number"
TEXT_FIELDS = ("query", "text", "queries", "texts")
"""Fields of a request message that take the text of a query."""

CACHED_PAYLOADS = 100_000


def default_template(descriptor: Descriptor) -> dict[str, Any]:
    """Returns the payload of a request message that has a field for queries.

    That is a string field, or a list of strings, called `query`, `text`, `queries` or `texts`, in the message itself or
    in the messages of a list in it. A message without such a field stays empty.
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
        template: Its payload as parsed JSON, an object or one placeholder; `None` takes `default_template`.
    """

    def __init__(self, method: Method, template: Any = None) -> None:
        self._method = method
        self._message = method.request_class
        self._template = default_template(descriptor_of(self._message)) if template is None else template
        self.placeholders = set(PLACEHOLDER.findall(_written(self._template)))
        self._cache: dict[tuple[int, ...], list[bytes]] = {}

    def render(self, queries: Sequence[Query], number: int, *, key: tuple[int, ...] | None = None) -> list[bytes]:
        """Returns the messages of one call: one, or one for each query if the method takes a stream.

        Args:
            queries: The call's queries.
            number: The request's number.
            key: Key of the queries; a payload is cached by its key.

        Raises:
            UsageError: A placeholder names no field of the query, or the result does not fit the message.
        """
        if key is not None and NUMBER not in self.placeholders:
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
    """Returns the template with placeholders filled from the first query, and lists repeated for all queries.

    Raises:
        UsageError: A placeholder names no field of a query.
    """
    if isinstance(template, Mapping):
        return {name: fill(value, queries, number) for name, value in template.items()}
    if isinstance(template, list):
        if len(template) == 1 and PLACEHOLDER.search(_written(template)):
            return [fill(template[0], [query], number) for query in queries]
        return [fill(value, queries, number) for value in template]
    if not isinstance(template, str):
        return template
    if whole := PLACEHOLDER.fullmatch(template):
        return _value(whole[1], queries[0], number)
    return PLACEHOLDER.sub(lambda found: str(_value(found[1], queries[0], number)), template)


def parse_template(text: str, *, where: str) -> dict[str, Any]:
    """Returns the template of a JSON text.

    Raises:
        UsageError: The text is no JSON object.
    """
    try:
        template = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{where}: not JSON: {error}") from None
    if not isinstance(template, dict):
        raise UsageError(f"{where}: expected a JSON object")
    return template


def _written(template: Any) -> str:
    """Returns the template as text, to find its placeholders; their names may be in any script."""
    return json.dumps(template, ensure_ascii=False)


def _value(name: str, query: Query, number: int) -> Any:
    if name in query.fields:
        return query.fields[name]
    if name == NUMBER:
        return number
    known = ", ".join(sorted({*query.fields, NUMBER}))
    raise UsageError(f"the payload has a placeholder for {name}, but query {query.id} has only {known}")
