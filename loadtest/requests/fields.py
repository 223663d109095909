"""Finds fields in messages at any depth: in nested messages, lists and maps."""

from collections.abc import Callable, Iterator, Sequence

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message


class Fields:
    """The wanted fields of a type of message, and the ways to them.

    A wanted field is not searched for further ones. Types may contain themselves. It is true if there is such a field.

    Args:
        descriptor: The type of message.
        wanted: Returns whether a field is wanted.
    """

    def __init__(self, descriptor: Descriptor, wanted: Callable[[FieldDescriptor], bool]) -> None:
        self._wanted: dict[str, list[FieldDescriptor]] = {}
        inner: dict[str, list[tuple[FieldDescriptor, str]]] = {}
        waiting = [descriptor]
        while waiting:
            each = waiting.pop()
            if each.full_name in inner:
                continue
            self._wanted[each.full_name] = [field for field in each.fields if wanted(field)]
            others = [(field, kind) for field in each.fields if not wanted(field) and (kind := message_in(field))]
            inner[each.full_name] = [(field, kind.full_name) for field, kind in others]
            waiting += [kind for _, kind in others]
        leading = {name for name, fields in self._wanted.items() if fields}
        while more := {name for name, ways in inner.items() if any(kind in leading for _, kind in ways)} - leading:
            leading |= more
        self._ways = {name: [field for field, kind in ways if kind in leading] for name, ways in inner.items()}
        self._any = descriptor.full_name in leading

    def __bool__(self) -> bool:
        return self._any

    def found(self, message: Message) -> list[tuple[Message, FieldDescriptor]]:
        """Returns each message that has a wanted field, set or not, with the field, in the order of the message."""
        name = message.DESCRIPTOR.full_name
        found = [(message, field) for field in self._wanted[name]]
        for field in self._ways[name]:
            for each in messages_in(message, field):
                found += self.found(each)
        return found


def along(message: Message, path: Sequence[FieldDescriptor]) -> Iterator[tuple[Message, FieldDescriptor]]:
    """Yields each message that has the last field of a path, with this field."""
    if len(path) == 1:
        yield message, path[0]
        return
    for each in messages_in(message, path[0]):
        yield from along(each, path[1:])


def path_of(descriptor: Descriptor, text: str) -> list[FieldDescriptor] | None:
    """Returns the fields of a path such as `results.error`; `None` if the type of message has none."""
    found = []
    at: Descriptor | None = descriptor
    for name in text.split("."):
        if at is None:
            return None
        field = at.fields_by_name.get(name) or at.fields_by_camelcase_name.get(name)  # As JSON payloads may name it.
        if field is None:
            return None
        found.append(field)
        at = message_in(field)
    return found


def message_in(field: FieldDescriptor) -> Descriptor | None:
    """Returns the type of the messages that a field, a list or the values of a map hold; `None` for other values."""
    return (map_value(field) or field).message_type


def messages_in(message: Message, field: FieldDescriptor) -> Iterator[Message]:
    """Yields the messages that a field, a list or the values of a map hold; those of a map by its keys."""
    value = getattr(message, field.name)
    if map_value(field):
        yield from (value[key] for key in sorted(value))
    elif field.is_repeated:
        yield from value
    elif message.HasField(field.name):
        yield value


def map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    """Returns the field that describes the values of a map; `None` if the field is not a map."""
    entry = field.message_type
    return entry.fields_by_name["value"] if entry is not None and entry.GetOptions().map_entry else None
