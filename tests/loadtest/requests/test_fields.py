from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from loadtest.requests.descriptors import descriptor_of
from loadtest.requests.fields import Fields, along, path_of
from loadtest.requests.method import find_method
from loadtest.target import Target

PROTO = """
syntax = "proto3";
package tree;
service Trees { rpc Get(Node) returns (Node); }
message Node {
  string name = 1;
  Node left = 2;
  repeated Node rest = 3;
  map<string, Node> by_name = 4;
  oneof leaf { Mark mark = 5; int32 none = 6; }
  map<string, int32> counts = 7;
}
message Mark { int32 code = 1; Mark cause = 2; }
"""


@pytest.fixture
async def node(tmp_path: Path) -> type[Message]:
    (tmp_path / "tree.proto").write_text(PROTO)
    return (await find_method("Get", target=Target(address="x:1"), proto=tmp_path / "tree.proto")).response_class


def marks(message: Any) -> Iterator[int]:
    fields = Fields(descriptor_of(type(message)), lambda field: field.name == "mark")
    for owner, field in fields.found(message):
        if owner.HasField(field.name):
            yield getattr(owner, field.name).code


async def test_fields_are_found_at_any_depth_in_messages_that_contain_themselves(node: Any) -> None:
    tree = node(
        mark={"code": 1, "cause": {"code": 9}},
        left={"rest": [{"mark": {"code": 2}}, {}, {"left": {"mark": {"code": 3}}}]},
        by_name={"b": {"mark": {"code": 5}}, "a": {"mark": {"code": 4}}},
    )
    assert list(marks(tree)) == [1, 2, 3, 4, 5]
    assert list(marks(node())) == []


async def test_a_message_without_a_wanted_field_has_none(node: Any) -> None:
    assert not Fields(descriptor_of(node), lambda field: field.name == "other")
    assert list(Fields(descriptor_of(node), lambda field: field.name == "other").found(node(left={}))) == []


async def test_a_path_leads_through_lists_and_maps(node: Any) -> None:
    path = path_of(descriptor_of(node), "by_name.rest.mark.code")
    assert path == path_of(descriptor_of(node), "byName.rest.mark.code")
    assert path is not None
    tree = node(by_name={"a": {"rest": [{"mark": {"code": 1}}, {}, {"mark": {"code": 2}}]}, "b": {"rest": [{}]}})
    assert [getattr(owner, field.name) for owner, field in along(tree, path)] == [1, 2]


@pytest.mark.parametrize("text", ["", "wrong", "name.length", "rest.wrong", "counts.value", "left..name"])
async def test_a_path_that_names_no_field_is_none(node: Any, text: str) -> None:
    assert path_of(descriptor_of(node), text) is None
