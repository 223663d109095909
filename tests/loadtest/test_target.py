from pathlib import Path
from typing import Any

import pytest

from loadtest.errors import UsageError
from loadtest.target import Target

ADDRESS = "127.0.0.1:1"


def test_the_metadata_has_the_headers_and_the_token() -> None:
    target = Target(address=ADDRESS, headers=(("x-one", "1"), ("X-Two", "two words")), token="t0ken")
    assert target.metadata() == (("x-one", "1"), ("x-two", "two words"), ("authorization", "Bearer t0ken"))
    assert Target(address=ADDRESS).metadata() == ()


def test_secrets_are_not_shown() -> None:
    target = Target(address=ADDRESS, headers=(("x-key", "hidden-1"),), token="hidden-2")
    for shown in (repr(target), str(target.described())):
        assert "hidden" not in shown
    described = {"address": ADDRESS, "tls": False, "headers": ["x-key", "authorization"], "connections": 1}
    assert target.described() == described


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        *(
            ({"headers": ((name, "value"),)}, "header")
            for name in ("", "x y", "x:y", "이름", "grpc-timeout", "x-bin", "x\n")
        ),
        *(({"address": each}, "is no address") for each in ("", "host", "host:0", "host:70000", ":1", "http://host:1")),
        ({"address": "a..b.검색:1"}, "invalid host name"),
        *(({given: Path("some.pem")}, "needs its key") for given in ("certificate_file", "key_file")),
        ({"connections": 0}, "from 1 to 256, not 0"),
    ],
)
def test_an_invalid_target_is_rejected(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Target(**{"address": ADDRESS, **changes})


@pytest.mark.parametrize("value", ["값", "two\nlines", "\x00", "caf\xe9"])
def test_a_header_value_that_grpc_rejects_is_rejected_and_not_shown(value: str) -> None:
    for headers, token in (((("x-name", value),), ""), ((), value)):
        with pytest.raises(UsageError, match="printable ASCII") as error:
            Target(address=ADDRESS, headers=headers, token=token)
        assert value not in str(error.value)


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        ("search:50051", "dns:///search:50051"),
        ("dns:///search:50051", "dns:///search:50051"),
        ("[::1]:50051", "dns:///[::1]:50051"),
        ("검색.example:50051", "dns:///xn--c79as89a.example:50051"),
        ("unix:/tmp/소켓", "unix:/tmp/%EC%86%8C%EC%BC%93"),
        ("unix:///tmp/x", "unix:/tmp/x"),
    ],
)
def test_an_address_becomes_a_grpc_uri(address: str, uri: str) -> None:
    assert Target(address=address).uri == uri


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "ca.pem"
    with pytest.raises(UsageError, match=r"ca\.pem cannot be read: No such file"):
        Target(address=ADDRESS, ca_file=missing).credentials()


@pytest.mark.parametrize("changes", [{"tls": True}, {"ca_file": Path("a")}])
def test_certificates_imply_tls(changes: dict[str, bool]) -> None:
    assert Target(address=ADDRESS, **changes).described()["tls"]  # type: ignore[arg-type]
