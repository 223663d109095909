import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.errors import UsageError
from loadtest.requests.placeholders import FUNCTIONS, Draws
from loadtest.requests.queries import Query
from loadtest.requests.template import Template

COAT = Query("c", {"query": "coat", "limit": 3, "first name": "Ada", "yes": True, "none": None, "list": ["a", 1]})
HAT = Query("h", {"query": "hat"})
DRAWS = Draws(0, 7)


def fill(template: Any, *queries: Query, seed: int = 0, number: int = 7) -> Any:
    return Template(template).fill(queries or [COAT], Draws(seed, number))


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=10).filter(lambda text: "{{" not in text)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
        max_leaves=10,
    )
)
def test_a_template_without_placeholders_is_unchanged(template: Any) -> None:
    assert fill(template, COAT, HAT) == template


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20))
def test_placeholders_in_a_query_are_not_filled(text: str) -> None:
    query = Query("0", {"query": text})
    assert fill("{{query}}", query) == text
    assert fill("<{{query}}>", query) == f"<{text}>"


def test_a_field_may_have_any_name_without_braces_and_quotes() -> None:
    assert fill("{{ first name }}") == "Ada"
    assert fill("{{number}}", Query("0", {"number": "mine"})) == "mine"


def test_a_value_in_a_text_is_written_as_in_json() -> None:
    assert fill("{{yes}} {{none}} {{list}} {{limit}}") == 'true null ["a", 1] 3'


def test_a_quoted_text_stands_for_itself() -> None:
    assert fill("""{{'{{'}}query}} {{"{{a}}"}}""") == "{{query}} {{a}}"


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ("{{colour}}", "{{colour}}"),
        ("x {{ .RequestNumber }}", "{{.RequestNumber}}"),
        ("{{newUUID}}", "{{newUUID}}"),
        ("{{query | upper}}", "{{query | upper}}"),
        ("{{}}", "{{}}"),
        ({"a": [{"b": "{{nope}}"}]}, "{{nope}}"),
        ({"{{nope}}": 1}, "{{nope}}"),
        ("{{random_int}}", "{{random_int}}: write {{random_int LOWEST HIGHEST}}"),
        ("{{random_int 5}}", "{{random_int 5}}: write {{random_int LOWEST HIGHEST}}"),
        ("{{random_int 5 1}}", "{{random_int 5 1}}: write"),
        ("{{random_int a b}}", "{{random_int a b}}: write"),
        ("{{random_float 1 inf}}", "{{random_float 1 inf}}: write"),
        ("{{random_string 0}}", "{{random_string 0}}: write"),
        ("{{random_bytes 1e9}}", "{{random_bytes 1e9}}: write"),
        ("{{random_choice}}", "{{random_choice}}: write"),
        ("{{uuid 4}}", "{{uuid 4}}: write {{uuid}}"),
        ("{{now minutes}}", "{{now minutes}}: write {{now}}"),
    ],
)
def test_a_placeholder_without_a_value_is_named(template: Any, named: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"there is nothing for the placeholder {named}")) as error:
        fill(template)
    assert "\n" not in str(error.value)


def test_the_error_of_an_unknown_placeholder_lists_fields_and_functions() -> None:
    functions = ", ".join(FUNCTIONS)
    with pytest.raises(
        UsageError, match=re.escape(f": the row of query h has query, and the functions are {functions}")
    ):
        fill("{{colour}}", HAT)
    with pytest.raises(UsageError, match="there is no row with fields"):
        fill("{{colour}}", Query("x", {}))


@pytest.mark.parametrize("template", ["{{query", "{{query}", "a {{", "{{{query", "{{'a}}", "{{a{b}}"])
def test_two_braces_that_begin_no_placeholder_are_named(template: str) -> None:
    with pytest.raises(
        UsageError, match=r"is not a placeholder; write \{\{query\}\}, or \{\{'\{\{'\}\} for two braces"
    ):
        fill({"a": [template]})


def test_a_placeholder_within_two_braces_is_left_out_of_the_error() -> None:
    with pytest.raises(UsageError, match=re.escape("'{{…}}' is not a placeholder")):
        fill("{{{{query}}}}")


@settings(max_examples=200, deadline=None)
@given(st.text("{}'\" aq.1", max_size=15))
def test_any_text_is_filled_or_refused(text: str) -> None:
    try:
        filled = fill(text)
    except UsageError:
        assert "{{" in text
    else:
        assert isinstance(filled, str)


RANDOM = ("{{uuid}}", "{{random_int 1 5}}", "{{random_float -1 1}}", "{{random_string 8}}", "{{random_bytes 8}}")


@pytest.mark.parametrize("template", RANDOM)
def test_random_values_depend_on_the_seed_and_the_number_alone(template: str) -> None:
    first = [fill([template], seed=3, number=number) for number in range(50)]
    assert first == [fill([template], seed=3, number=number) for number in range(50)]
    assert first != [fill([template], seed=4, number=number) for number in range(50)]
    assert len({str(value) for value in first}) > 4


def test_random_values_have_the_kind_that_they_name() -> None:
    numbers = [fill("{{random_int 1 5}}", number=number) for number in range(500)]
    assert {numbers.count(each) > 60 for each in (1, 2, 3, 4, 5)} == {True}
    assert set(numbers) == {1, 2, 3, 4, 5}
    big = [fill("{{random_int -9223372036854775808 18446744073709551615}}", number=number) for number in range(50)]
    assert min(big) < 0 < max(big)
    shares = [fill("{{random_float -1 3}}", number=number) for number in range(500)]
    assert min(shares) >= -1
    assert max(shares) < 3
    assert abs(sum(shares) / 500 - 1) < 0.2
    assert {fill("{{random_choice red blue}}", number=number) for number in range(50)} == {"red", "blue"}
    assert re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", fill("{{uuid}}"))
    assert re.fullmatch("[A-Za-z0-9]{20}", fill("{{random_string 20}}"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", fill("{{now}}"))
    assert fill("{{now ms}}") // 1000 == pytest.approx(fill("{{now s}}"), abs=2)


def test_two_placeholders_of_a_request_differ() -> None:
    first, second = fill("{{uuid}} {{uuid}}").split()
    assert first != second


def test_a_list_of_one_is_repeated_with_other_random_values() -> None:
    values = fill(["{{query}} {{random_int 1 1000000}}"], COAT, HAT)
    assert [value.split()[0] for value in values] == ["coat", "hat"]
    assert len({value.split()[1] for value in values}) == 2


def test_a_template_knows_what_it_needs() -> None:
    template = Template({"a": ["{{query}}"], "b": "x {{number}} {{first name}}"})
    assert (template.fields, template.changes) == ({"query", "first name"}, True)
    assert (Template({"a": "{{query}}"}).changes, Template({"a": "b"}).fields) == (False, set())


def test_a_template_may_be_deep_but_not_endless() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(UsageError, match="nested too deeply"):
        Template(deep)
