"""The payload of a request: a template (see `requests.template`) that is filled and converted to the method's message.

A method that takes a stream gets one message for each query. A row of a data file is a template itself.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import EncodeError

from loadtest.errors import UsageError
from loadtest.requests.descriptors import descriptor_of
from loadtest.requests.method import Method
from loadtest.requests.misfit import reason_of
from loadtest.requests.placeholders import Draws
from loadtest.requests.queries import Query
from loadtest.requests.rows import text_of
from loadtest.requests.template import Template

TEXT_FIELDS = ("query", "text", "queries", "texts")
"""Fields of a request message that take the text of a query."""

CACHED_PAYLOADS = 100_000
UNFIT = (json_format.Error, EncodeError, TypeError, ValueError, KeyError, AttributeError, RecursionError)
"""The errors of protobuf for values that do not fit a message."""


def default_template(descriptor: Descriptor) -> Any:
    """Returns the payload of a request message that has a field for queries.

    That is a string field, or a list of strings, called `query`, `text`, `queries` or `texts`, in the message itself or
    in the messages of a list in it; or the message is a text, `google.protobuf.StringValue`. A message without such a
    field stays empty.
    """
    if descriptor.full_name == "google.protobuf.StringValue":
        return "{{query}}"
    if descriptor.full_name == "google.protobuf.Value":
        return None  # JSON's null; a Value without content would be invalid.
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
        template: Its payload as parsed JSON; `None` takes `default_template`.
        seed: Seed of the random values.

    Attributes:
        template: The template of queries that bring none.

    Raises:
        UsageError: The template is malformed.
    """

    def __init__(self, method: Method, template: Any = None, *, seed: int = 0) -> None:
        self._input_type = method.input_type
        self._streams = method.client_streaming
        self._message = method.request_class
        self._descriptor = descriptor_of(self._message)
        self._seed = seed
        self.template = Template(default_template(self._descriptor) if template is None else template, self._descriptor)
        self._own: dict[str, Template] = {}
        self._cache: dict[tuple[int, ...], list[bytes]] = {}

    def render(self, queries: Sequence[Query], number: int, *, key: tuple[int, ...] | None = None) -> list[bytes]:
        """Returns the messages of one call: one, or one for each query if the method takes a stream.

        Args:
            queries: The call's queries.
            number: The request's number.
            key: Key of the queries; a payload without functions is cached by its key.

        Raises:
            UsageError: A placeholder names no field of the query, or the result does not fit the message.
        """
        if key is not None and (cached := self._cache.get(key)) is not None:
            return cached
        draws = Draws(self._seed, number)
        groups = [[query] for query in queries] if self._streams else [queries]
        templates = [self.template_of(group[0]) for group in groups]
        messages = [
            self._serialize(template.fill(group, draws)) for template, group in zip(templates, groups, strict=True)
        ]
        if key is not None and not any(template.changes for template in templates):
            if len(self._cache) >= CACHED_PAYLOADS:
                self._cache.clear()
            self._cache[key] = messages
        return messages

    def template_of(self, query: Query) -> Template:
        """Returns the template that a query brings, or else the call's."""
        if query.template is None:
            return self.template
        if query.id not in self._own:
            if len(self._own) >= CACHED_PAYLOADS:
                self._own.clear()
            self._own[query.id] = Template(query.template, self._descriptor)
        return self._own[query.id]

    def _serialize(self, payload: Any) -> bytes:
        message = self._message()
        try:
            if not isinstance(payload, dict) and not self._descriptor.full_name.startswith("google.protobuf."):
                raise ValueError("expected a JSON object")
            if payload != {}:  # Messages of other forms in JSON, such as wrappers, have no empty one.
                json_format.ParseDict(payload, message, descriptor_pool=self._descriptor.file.pool)
            return message.SerializeToString()
        except UNFIT as error:
            raise UsageError(f"the payload does not fit {self._input_type}: {reason_of(error)}") from None


def parse_template(text: str, *, where: str) -> Any:
    """Returns the template of a JSON text, or of the file that follows an `@`.

    Raises:
        UsageError: The text is not JSON, or the file cannot be read.
    """
    if text.startswith("@"):
        where = text.removeprefix("@")
        text = text_of(Path(where))
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: not JSON: {error}") from None
