from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.errors import UsageError
from loadtest.requests.method import Method, find_method
from loadtest.requests.payload import CACHED_PAYLOADS, Payload, default_template, fill, parse_template
from loadtest.requests.queries import Query
from loadtest.target import Target

NOWHERE = Target(address="127.0.0.1:1")
COAT = Query("c", {"query": "coat", "limit": 3, "질의": "외투", "ratio": 0.5, "tags": ["a", "b"]})
HAT = Query("h", {"query": "hat", "limit": 4, "질의": "모자"})


async def chaja_method(name: str) -> Method:
    return await find_method(name, target=NOWHERE)


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
    async def template(name: str) -> dict[str, Any]:
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
        {"query": "{{limit}}"},
        {"query": {"text": "a"}},
        {"query": "\ud800"},
    ],
)
async def test_a_payload_that_does_not_fit_the_message_is_a_usage_error(template: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"the payload does not fit chaja\.v1\.SearchRequest: ") as error:
        rendered(await chaja_method("Search"), template, COAT)
    assert "\n" not in str(error.value)


async def test_a_missing_required_field_is_a_usage_error(protos: Path) -> None:
    method = await find_method("M", target=NOWHERE, proto=protos / "required.proto")
    assert rendered(method, {"query": "{{query}}", "amount": 1}, COAT) == [{"query": "coat", "amount": 1}]
    with pytest.raises(UsageError, match=r"the payload does not fit Wanted: .*amount"):
        rendered(method, None, COAT)


async def test_the_error_of_an_unknown_placeholder_lists_the_fields() -> None:
    search = await chaja_method("Search")
    with pytest.raises(UsageError, match=r"a placeholder for colour, but query h has only limit, number, query, 질의$"):
        rendered(search, {"query": "{{colour}}"}, HAT)
    with pytest.raises(UsageError, match=r"a placeholder for query, but query x has only number$"):
        rendered(search, None, Query("x", {}))


async def test_a_payload_with_a_key_is_made_once_unless_it_has_the_number() -> None:
    search = await chaja_method("Search")
    plain = Payload(search)
    assert plain.render([COAT], 1, key=(0,)) is plain.render([COAT], 2, key=(0,))
    assert plain.render([COAT], 1, key=(0,)) != plain.render([HAT], 1, key=(1,))
    numbered = Payload(search, {"query": "{{number}}{{ number }}x"})
    assert numbered.placeholders == {"number"}
    assert numbered.render([COAT], 1, key=(0,)) != numbered.render([COAT], 2, key=(0,))


async def test_the_cache_of_payloads_is_bounded() -> None:
    payload = Payload(await chaja_method("GetServerInfo"))
    first = payload.render([COAT], 0, key=(0,))
    for number in range(1, CACHED_PAYLOADS + 1):
        payload.render([COAT], number, key=(number,))
    assert payload.render([COAT], 0, key=(0,)) is not first


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=10).filter(lambda text: "{{" not in text)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
        max_leaves=10,
    )
)
def test_a_template_without_placeholders_is_unchanged(template: Any) -> None:
    assert fill(template, [COAT, HAT], 1) == template


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_placeholders_in_a_query_are_not_filled(text: str) -> None:
    query = Query("0", {"query": text})
    assert fill("{{query}}", [query], 1) == text
    assert fill("<{{query}}>", [query], 1) == f"<{text}>"


def test_a_template_is_a_json_object() -> None:
    assert parse_template('{"query": "{{query}}"}', where="--payload") == {"query": "{{query}}"}
    with pytest.raises(UsageError, match=r"^--payload: not JSON: "):
        parse_template("{query}", where="--payload")
    for text in ("[]", "3", "null", '"a"'):
        with pytest.raises(UsageError, match=r"^--payload: expected a JSON object$"):
            parse_template(text, where="--payload")
