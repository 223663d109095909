"""JSON, or a text, with placeholders for a query's fields and for functions.

`{{query}}` stands for the query's text and `{{name}}` for any other field of its row in the file. Every other
placeholder calls a function (see `requests.placeholders`); a field wins over a function of its name. `{{'…'}}` stands
for the text between the quotes, to write two braces.

A string that consists of one placeholder takes the value with its type, such as number or list. In a longer string, the
value is inserted as text. In a call of several queries, a list of one element with a placeholder is repeated for each
query.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from loadtest.errors import UsageError
from loadtest.requests.conversion import Convert, as_text, converted, converter_of, message_converter, written
from loadtest.requests.placeholders import FUNCTIONS, Draws, function_of
from loadtest.requests.queries import Query

PLACEHOLDER = re.compile(r"""\{\{\s*(?:(["'])(?P<literal>.*?)\1|(?P<named>[^{}"']*?))\s*\}\}""", re.DOTALL)
ANY = "google.protobuf.Any"
BEGINNING = re.compile(r"\{\{.{0,40}", re.DOTALL)

Filler = Callable[[Sequence[Query], Draws], Any]


class Template:
    """A parsed template.

    Args:
        value: Parsed JSON.
        descriptor: The message that the result is for: numbers from placeholders become text where it has text, and
            texts become truth values where it has those.

    Attributes:
        fields: The placeholders that are not functions but fields of a query.
        changes: Whether it has functions, so that requests of one query differ.

    Raises:
        UsageError: Two braces begin no placeholder.
    """

    def __init__(self, value: Any, descriptor: Descriptor | None = None) -> None:
        self.fields: set[str] = set()
        self.changes = False
        try:
            self._filler = self._compiled(value, message_converter(descriptor), descriptor)
        except RecursionError:
            raise UsageError("the payload is nested too deeply") from None

    def fill(self, queries: Sequence[Query], draws: Draws) -> Any:
        """Returns the value with placeholders filled from the first query, and lists repeated for all queries.

        Raises:
            UsageError: A placeholder names no field of a query, and no function.
        """
        return self._filler(queries, draws)

    def _compiled(self, value: Any, convert: Convert | None, descriptor: Descriptor | None) -> Filler:
        if isinstance(value, Mapping):
            return self._object(value, descriptor)
        if isinstance(value, list):
            return self._list(value, convert, descriptor)
        if isinstance(value, str):
            return self._text(value, convert)
        return lambda queries, draws: value

    def _object(self, value: Mapping[str, Any], descriptor: Descriptor | None) -> Filler:
        members = []
        if descriptor is not None and descriptor.full_name == ANY and isinstance(value.get("@type"), str):
            descriptor = _packed(descriptor, value["@type"])
        for name, each in value.items():
            field = _field(descriptor, name)
            message = field.message_type if field is not None else None
            members.append((self._text(name, as_text), self._compiled(each, converter_of(field), message)))
        return lambda queries, draws: {name(queries, draws): each(queries, draws) for name, each in members}

    def _list(self, values: list[Any], convert: Convert | None, descriptor: Descriptor | None) -> Filler:
        before, self.fields, self.changes = (self.fields, self.changes), set(), False
        each = [self._compiled(value, convert, descriptor) for value in values]
        repeats = len(each) == 1 and (bool(self.fields) or self.changes)
        self.fields, self.changes = self.fields | before[0], self.changes or before[1]
        if repeats:
            return lambda queries, draws: [each[0]([query], draws) for query in queries]
        return lambda queries, draws: [fill(queries, draws) for fill in each]

    def _text(self, text: str, convert: Convert | None) -> Filler:
        if left := BEGINNING.search(PLACEHOLDER.sub("\0", text)):
            shown = left[0].replace("\0", "…")
            raise UsageError(f"{shown!r} is not a placeholder; write {{{{query}}}}, or {{{{'{{{{'}}}} for two braces")
        if whole := PLACEHOLDER.fullmatch(text):
            value = self._placeholder(whole)
            return value if convert is None else lambda queries, draws: converted(value(queries, draws), convert)
        parts: list[Filler] = []
        end = 0
        for found in PLACEHOLDER.finditer(text):
            parts += [_constant(text[end : found.start()]), self._placeholder(found)]
            end = found.end()
        if not parts:
            return _constant(text if convert is None else convert(text))
        parts.append(_constant(text[end:]))

        def joined(queries: Sequence[Query], draws: Draws) -> Any:
            text = "".join([written(part(queries, draws)) for part in parts])
            return text if convert is None else convert(text)

        return joined

    def _placeholder(self, found: re.Match[str]) -> Filler:
        if found["literal"] is not None:
            return _constant(found["literal"])
        written = found["named"]
        name, *arguments = written.split() or [""]
        if name in FUNCTIONS:
            self.changes = True
        else:
            self.fields.add(written)
        try:
            call, trouble = function_of(name, arguments), ""
        except ValueError as error:
            call, trouble = None, str(error)

        def value(queries: Sequence[Query], draws: Draws) -> Any:
            fields = queries[0].fields
            if written in fields:
                return fields[written]
            if call is not None:
                return call(draws)
            has = (
                f"the row of query {queries[0].id} has {', '.join(sorted(fields))}"
                if fields
                else "there is no row with fields"
            )
            known = f"{has}, and the functions are {', '.join(FUNCTIONS)}"
            raise UsageError(f"there is nothing for the placeholder {{{{{written}}}}}: {trouble or known}")

        return value


def _constant(value: Any) -> Filler:
    return lambda queries, draws: value


def _field(descriptor: Descriptor | None, name: str) -> FieldDescriptor | None:
    """Returns a message's field by either of its names in JSON; the values of a map for any name."""
    if descriptor is None:
        return None
    if descriptor.GetOptions().map_entry:
        return descriptor.fields_by_name["value"]
    return descriptor.fields_by_name.get(name) or descriptor.fields_by_camelcase_name.get(name)


def _packed(any_message: Descriptor, type_url: str) -> Descriptor | None:
    """Returns the message that a `google.protobuf.Any` holds; `None` if its pool does not know it."""
    try:
        found: Descriptor = any_message.file.pool.FindMessageTypeByName(type_url.rpartition("/")[2])
    except KeyError:
        return None
    return found
