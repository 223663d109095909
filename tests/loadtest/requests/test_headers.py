import base64

import pytest

from loadtest.errors import UsageError
from loadtest.requests.headers import RequestHeaders
from loadtest.requests.queries import Query

COAT = Query("c", {"query": "coat", "limit": 3, "tenant": "가", "secret": "s3cret\n"})


def test_headers_are_filled_for_each_request() -> None:
    headers = RequestHeaders([("X-Limit", "{{limit}}"), ("x-both", "{{query}}/{{number}}"), ("x-id", "{{uuid}}")])
    first, second = headers.render(COAT, 7), headers.render(COAT, 8)
    assert first[:2] == (("x-limit", "3"), ("x-both", "coat/7"))
    assert first[2][0] == "x-id"
    assert first[2] != second[2]
    assert headers.render(COAT, 7) == first
    assert RequestHeaders([("x-id", "{{uuid}}")], seed=1).render(COAT, 7)[0] != first[2]


def test_a_binary_header_takes_base64() -> None:
    coat = base64.b64encode(b"coat").decode()
    headers = RequestHeaders([("a-bin", "{{random_bytes 16}}"), ("b-bin", f"{coat.rstrip('=')}{{{{''}}}}")])
    (name, value), (_, same) = headers.render(COAT, 0)
    assert name == "a-bin"
    assert isinstance(value, bytes)
    assert len(value) == 16
    assert same == b"coat"


@pytest.mark.parametrize(
    ("name", "template", "says"),
    [
        ("x-tenant", "{{tenant}}", "the header x-tenant (--header, --token) has characters other than printable ASCII"),
        ("x-secret", "{{secret}}", "the header x-secret (--header, --token) has characters other than printable ASCII"),
        ("x-bin", "{{uuid}}", "the value of the header x-bin (--header) is not base64"),
        ("x y", "{{uuid}}", "is not a name of a header"),
        ("te", "{{uuid}}", "is set by gRPC or HTTP/2 itself"),
        ("x", "{{nope}}", "there is nothing for the placeholder {{nope}}"),
    ],
)
def test_an_invalid_header_is_a_usage_error(name: str, template: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        RequestHeaders([(name, template)]).render(COAT, 0)
    assert says in str(error.value)
    assert "s3cret" not in str(error.value)
