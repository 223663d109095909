import functools
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.errors import UsageError
from loadtest.requests.descriptors import proto_descriptors
from loadtest.requests.method import Method, find_method, methods_of
from loadtest.requests.payload import CACHED_PAYLOADS, Payload, default_template, parse_template
from loadtest.requests.queries import Query
from loadtest.target import Target

NOWHERE = Target(address="127.0.0.1:1")
COAT = Query("c", {"query": "coat", "limit": 3, "질의": "외투", "ratio": 0.5, "tags": ["a", "b"]})
HAT = Query("h", {"query": "hat", "limit": 4, "질의": "모자"})


async def chaja_method(name: str) -> Method:
    return await find_method(name, target=NOWHERE)


def pool_of(method: Method) -> Any:
    return method.request_class.DESCRIPTOR.file.pool


def rendered(method: Method, template: Any, *queries: Query, number: int = 0) -> list[dict[str, Any]]:
    """Returns the messages of a call as JSON."""
    messages = Payload(method, template).render(queries, number)
    return [
        MessageToDict(method.request_class.FromString(message), preserving_proto_field_name=True)
        for message in messages
    ]


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        ("Search", {"query": "coat"}, {"query": "coat"}),
        ("BatchSearch", {"requests": [{"query": "coat"}]}, {"requests": [{"query": "coat"}, {"query": "hat"}]}),
        ("Encode", {"texts": ["coat"]}, {"texts": ["coat", "hat"]}),
        ("GetServerInfo", {}, {}),
    ],
)
async def test_default_payloads_of_chaja_hold_the_queries(name: str, one: dict[str, Any], two: dict[str, Any]) -> None:
    method = await chaja_method(name)
    assert rendered(method, None, COAT) == [one]
    assert rendered(method, None, COAT, HAT) == [two]


async def test_default_payloads_of_other_services_fill_a_text_field(protos: Path) -> None:
    async def template(name: str) -> Any:
        method = await find_method(name, target=NOWHERE, proto=protos / "shop.proto")
        return default_template(method.request_class.DESCRIPTOR)  # type: ignore[arg-type]

    assert await template("Finder/Find") == {"text": "{{query}}"}
    assert await template("FindTree") == {}  # A message that contains itself.
    assert await template("FindMapped") == {}  # Maps are not filled, and a number is no text.
    assert await template("Keeper/Find") == {}


async def test_placeholders_take_the_fields_of_the_query() -> None:
    search = await chaja_method("Search")
    template = {"query": "{{ query }} / {{질의}} #{{number}} {{ratio}}", "limit": "{{limit}}"}
    assert rendered(search, template, COAT, number=7) == [{"query": "coat / 외투 #7 0.5", "limit": 3}]
    assert rendered(search, {"query": "x", "limit": "{{number}}"}, COAT, number=7) == [{"query": "x", "limit": 7}]


async def test_a_placeholder_takes_a_whole_list() -> None:
    encode = await chaja_method("Encode")
    assert rendered(encode, {"texts": "{{tags}}"}, COAT) == [{"texts": ["a", "b"]}]


async def test_a_list_with_one_placeholder_is_repeated_for_each_query() -> None:
    batch = await chaja_method("BatchSearch")
    template = {"requests": [{"query": "{{query}}!", "limit": "{{limit}}", "language_code": "ko"}]}
    assert rendered(batch, template, COAT, HAT) == [
        {
            "requests": [
                {"query": "coat!", "limit": 3, "language_code": "ko"},
                {"query": "hat!", "limit": 4, "language_code": "ko"},
            ]
        }
    ]
    assert rendered(await chaja_method("Encode"), {"texts": ["{{질의}}"]}, COAT, HAT) == [{"texts": ["외투", "모자"]}]


async def test_other_lists_are_not_repeated() -> None:
    encode = await chaja_method("Encode")
    assert rendered(encode, {"texts": ["always"]}, COAT, HAT) == [{"texts": ["always"]}]
    assert rendered(encode, {"texts": ["{{query}}", "b"]}, COAT, HAT) == [{"texts": ["coat", "b"]}]


async def test_a_stream_gets_one_message_for_each_query(protos: Path) -> None:
    method = await find_method("FindMany", target=NOWHERE, proto=protos / "shop.proto")
    template = {"text": "{{query}}", "tags": ["{{질의}}"], "patience": "1.5s", "item": {"colour": "RED"}}
    rest = {"patience": "1.500s", "item": {"colour": "RED"}}
    assert rendered(method, template, COAT, HAT) == [
        {"text": "coat", "tags": ["외투"], **rest},
        {"text": "hat", "tags": ["모자"], **rest},
    ]


@pytest.mark.parametrize(
    "template",
    [
        {"nope": 1},
        {"limit": "many"},
        {"limit": 1.5},
        {"limit": 2**40},
        {"query": ["a"]},
        {"query": 5},
        {"query": {"text": "a"}},
        {"query": "\ud800"},
    ],
)
async def test_a_payload_that_does_not_fit_the_message_is_a_usage_error(template: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"the payload does not fit chaja\.v1\.SearchRequest: ") as error:
        rendered(await chaja_method("Search"), template, COAT)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ({"nope": 1}, "chaja.v1.SearchRequest has no field nope; it has query, limit, languageCode, "),
        ({"limit": "many"}, "limit: 'many' is not a whole number"),
        ({"query": 5}, "query: expected a text"),
        ({"filter": {"nope": 1}}, "filter: chaja.v1.Filter has no field nope; it has "),
    ],
)
async def test_the_reason_why_a_payload_does_not_fit_is_plain(template: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError) as error:
        rendered(await chaja_method("Search"), template, COAT)
    assert str(error.value).startswith(f"the payload does not fit chaja.v1.SearchRequest: {reason}")


async def test_a_missing_required_field_is_a_usage_error(protos: Path) -> None:
    method = await find_method("M", target=NOWHERE, proto=protos / "required.proto")
    assert rendered(method, {"query": "{{query}}", "amount": 1}, COAT) == [{"query": "coat", "amount": 1}]
    with pytest.raises(UsageError, match=r"the payload does not fit Wanted: .*amount"):
        rendered(method, None, COAT)


async def test_a_payload_with_a_key_is_made_once_unless_it_has_the_number() -> None:
    search = await chaja_method("Search")
    plain = Payload(search)
    assert plain.render([COAT], 1, key=(0,)) is plain.render([COAT], 2, key=(0,))
    assert plain.render([COAT], 1, key=(0,)) != plain.render([HAT], 1, key=(1,))
    numbered = Payload(search, {"query": "{{number}}{{ number }}x"})
    assert numbered.render([COAT], 1, key=(0,)) != numbered.render([COAT], 2, key=(0,))


async def test_the_cache_of_payloads_is_bounded() -> None:
    payload = Payload(await chaja_method("GetServerInfo"))
    first = payload.render([COAT], 0, key=(0,))
    for number in range(1, CACHED_PAYLOADS + 1):
        payload.render([COAT], number, key=(number,))
    assert payload.render([COAT], 0, key=(0,)) is not first


def test_a_template_is_json_or_the_json_of_a_file(tmp_path: Path) -> None:
    assert parse_template('{"query": "{{query}}"}', where="--data") == {"query": "{{query}}"}
    file = tmp_path / "payload.json"
    file.write_text('\ufeff{\n  "query": "{{질의}}"\n}\n', encoding="utf-8")
    assert parse_template(f"@{file}", where="--data") == {"query": "{{질의}}"}
    with pytest.raises(UsageError, match=r"^--data: not JSON: "):
        parse_template("{query}", where="--data")
    with pytest.raises(UsageError, match=r"none\.json cannot be read: No such file"):
        parse_template(f"@{tmp_path}/none.json", where="--data")
    file.write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"payload\.json:1: not UTF-8"):
        parse_template(f"@{file}", where="--data")


@pytest.mark.parametrize("template", [[], 3, "a", [{"query": "a"}], [1], True])
async def test_only_an_object_fits_an_ordinary_message(template: Any) -> None:
    with pytest.raises(UsageError, match=r"the payload does not fit chaja\.v1\.SearchRequest: "):
        rendered(await chaja_method("Search"), template, COAT)


@functools.cache
def known_methods() -> dict[str, Method]:
    proto = Path(__file__).parent / "protos" / "known.proto"
    return {method.name: method for method in methods_of(proto_descriptors(proto))}


@pytest.mark.parametrize(
    ("name", "template", "json"),
    [
        ("TakeAny", {"@type": "type.googleapis.com/known.Coat", "name": "{{query}}"}, None),
        ("TakeAny", {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "3s"}, None),
        ("TakeAny", {"@type": "type.googleapis.com/google.protobuf.Int32Value", "value": 3}, None),
        ("TakeString", "{{query}}", "coat"),
        ("TakeString", None, "coat"),
        ("TakeString", "{{limit}}", "3"),
        ("TakeInt", "{{number}}", "7"),
        ("TakeInt", 5, "5"),
        ("TakeBool", "{{yes}}", True),
        ("TakeBool", False, False),
        ("TakeBytes", "AAE=", "AAE="),
        ("TakeValue", "{{query}}", "coat"),
        ("TakeValue", "{{number}}", 7.0),
        ("TakeValue", None, None),
        ("TakeValue", ["{{query}}", 1, None], ["coat", 1.0, None]),
        ("TakeValue", {"a": ["{{ratio}}"]}, {"a": [0.5]}),
        ("TakeList", ["{{query}}", True], ["coat", True]),
        ("TakeStruct", {"{{query}}": "{{limit}}"}, {"coat": 3.0}),
        ("TakeTime", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("TakeDuration", "{{number}}s", "7s"),
        ("TakeMask", "a,b.c", "a,b.c"),
        ("TakeEmpty", {}, {}),
        ("TakeEmpty", None, {}),
    ],
)
def test_well_known_types_are_requests(name: str, template: Any, json: Any) -> None:
    method = known_methods()[name]
    query = Query("c", {**COAT.fields, "yes": "true"})
    [serialized] = Payload(method, template).render([query], 7)
    message = method.request_class.FromString(serialized)
    read = MessageToDict(message, descriptor_pool=pool_of(method))
    if name == "TakeAny":
        assert read["@type"] == template["@type"]
    else:
        assert read == json


def test_a_value_is_null_rather_than_empty() -> None:
    assert Payload(known_methods()["TakeValue"], None).render([COAT], 7) == [b"\x08\x00"], "null_value: 0"


def test_well_known_types_are_fields_of_requests() -> None:
    method = known_methods()["TakeAll"]
    template = {
        "any": {"@type": "type.googleapis.com/known.Coat", "name": "{{number}}", "warm": "{{yes}}"},
        "several": [{"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "{{query}}"}, {}],
        "text": "{{number}}",
        "number": "{{limit}}",
        "truth": "{{yes}}",
        "value": "{{limit}}",
        "struct": {"a": ["{{query}}"], "b": None},
        "time": "{{now}}",
        "duration": "1.5s",
        "mask": "a,b",
        "plainText": "{{number}}",
        "plain_number": "{{cell}}",
        "plain_truth": "false",
        "ratio": "{{ratio}}",
        "blob": "{{random_bytes 4}}",
        "size": "{{size}}",
        "tags": ["{{number}}", "{{yes}}"],
        "labels": {"{{query}}": "{{limit}}"},
        "flags": {"5": "TRUE"},
        "right": "{{random_int 5 5}}",
    }
    query = Query("c", {"query": "coat", "limit": 3, "ratio": 0.5, "cell": "12", "yes": "true", "size": "LARGE"})
    [serialized] = Payload(method, template).render([query], 7)
    read = MessageToDict(
        method.request_class.FromString(serialized), preserving_proto_field_name=True, descriptor_pool=pool_of(method)
    )
    assert read.pop("time").endswith("Z")
    assert len(read.pop("blob")) == 8
    assert read == {
        "any": {"@type": "type.googleapis.com/known.Coat", "name": "7", "warm": True},
        "several": [{"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "coat"}, {}],
        "text": "7",
        "number": "3",
        "truth": True,
        "value": 3.0,
        "struct": {"a": ["coat"], "b": None},
        "duration": "1.500s",
        "mask": "a,b",
        "plain_text": "7",
        "plain_number": "12",
        "ratio": 0.5,
        "size": "LARGE",
        "tags": ["7", "true"],
        "labels": {"coat": "3"},
        "flags": {"5": True},
        "right": "5",
    }


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("TakeAny", {"@type": "type.googleapis.com/known.Nothing"}),
        ("TakeAny", {"@type": 5}),
        ("TakeAny", {"name": "no type"}),
        ("TakeAny", "text"),
        ("TakeString", {"value": "a"}),
        ("TakeInt", "many"),
        ("TakeBytes", "A"),
        ("TakeStruct", [1]),
        ("TakeList", {"a": 1}),
        ("TakeTime", "yesterday"),
        ("TakeTime", "{{number}}"),
        ("TakeDuration", "1 minute"),
        ("TakeDuration", 5),
        ("TakeMask", 5),
        ("TakeEmpty", {"a": 1}),
        ("TakeAll", {"left": "a", "right": 1}),
        ("TakeAll", {"size": "HUGE"}),
        ("TakeAll", {"labels": ["a"]}),
        ("TakeAll", {"flags": {"many": True}}),
    ],
)
def test_what_does_not_fit_a_well_known_type_is_a_usage_error(name: str, template: Any) -> None:
    method = known_methods()[name]
    with pytest.raises(UsageError, match=r"the payload does not fit ") as error:
        Payload(method, template).render([COAT], 7)
    assert "\n" not in str(error.value)


def test_text_that_is_not_base64_does_not_fit_bytes() -> None:
    for name, template in (
        ("TakeBytes", "\N{SNOWMAN}"),
        ("TakeBytes", "{{query}} "),
        ("TakeAll", {"blob": "{{sign}}"}),
        ("TakeBytes", "{{number}}"),
    ):
        with pytest.raises(UsageError, match=r"a field of bytes takes base64, not '"):
            Payload(known_methods()[name], template).render([Query("s", {"query": "a", "sign": "a b"})], 7)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.just("{{query}}"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5)
            | st.sampled_from([*"@", "@type", "value", "any", "several", "struct", "labels", "flags"]),
            inner | st.sampled_from(["type.googleapis.com/known.Coat", "type.googleapis.com/google.protobuf.Any"]),
            max_size=3,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(template=JSON, method=st.deferred(lambda: st.sampled_from(list(known_methods().values()))))
def test_any_json_is_a_payload_or_a_usage_error(template: Any, method: Method) -> None:
    lines = 1
    try:
        Payload(method, template).render([COAT], 0)
    except UsageError as error:
        lines = str(error).count("\n") + 1
    assert lines == 1


async def test_a_row_of_a_data_file_is_a_payload_with_placeholders() -> None:
    search = await chaja_method("Search")
    rows = [Query("0", {}, template={"query": "#{{number}}"}), Query("1", {}, template={"query": "hat", "limit": "3"})]
    payload = Payload(search)
    texts = [
        [MessageToDict(search.request_class.FromString(message))["query"] for message in messages]
        for number in range(2)
        for place, row in enumerate(rows)
        for messages in [payload.render([row], number, key=(place,))]
    ]
    assert texts == [["#0"], ["hat"], ["#1"], ["hat"]]
