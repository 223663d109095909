from pathlib import Path

import pytest

from loadtest.errors import UsageError
from loadtest.target import Target

ADDRESS = "127.0.0.1:1"


def test_the_metadata_are_the_headers_and_the_token() -> None:
    target = Target(address=ADDRESS, headers=(("x-one", "1"), ("X-Two", "two words")), token="t0ken")
    assert target.metadata() == (("x-one", "1"), ("x-two", "two words"), ("authorization", "Bearer t0ken"))
    assert Target(address=ADDRESS).metadata() == ()


def test_secrets_are_not_shown() -> None:
    target = Target(address=ADDRESS, headers=(("x-key", "hidden-1"),), token="hidden-2")
    for shown in (repr(target), str(target.described())):
        assert "hidden" not in shown
    assert target.described() == {
        "address": ADDRESS,
        "tls": False,
        "headers": ["x-key", "authorization"],
        "connections": 1,
    }


@pytest.mark.parametrize("name", ["", "x y", "x:y", "이름", "grpc-timeout", "x-bin", "x\n"])
def test_a_header_that_grpc_would_not_send_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="header"):
        Target(address=ADDRESS, headers=((name, "value"),))


@pytest.mark.parametrize("value", ["값", "two\nlines", "\x00", "caf\xe9"])
def test_a_value_that_grpc_would_not_send_is_refused_and_not_shown(value: str) -> None:
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
def test_an_address_is_one_of_grpc(address: str, uri: str) -> None:
    assert Target(address=address).uri == uri


@pytest.mark.parametrize("address", ["", "host", "host:0", "host:70000", ":1", "http://host:1", "a..b.검색:1"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match=r"is no address|cannot exist"):
        Target(address=address)


@pytest.mark.parametrize("given", ["certificate_file", "key_file"])
def test_a_certificate_and_its_key_come_together(given: str) -> None:
    with pytest.raises(UsageError, match="a client certificate needs its key"):
        Target(address=ADDRESS, **{given: Path("some.pem")})  # type: ignore[arg-type]


def test_there_is_a_connection() -> None:
    with pytest.raises(UsageError, match="from 1 to 256, not 0"):
        Target(address=ADDRESS, connections=0)


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "ca.pem"
    with pytest.raises(UsageError, match=r"ca\.pem cannot be read: No such file"):
        Target(address=ADDRESS, ca_file=missing).credentials()


@pytest.mark.parametrize("changes", [{"tls": True}, {"ca_file": Path("a")}])
def test_certificates_imply_tls(changes: dict[str, bool]) -> None:
    assert Target(address=ADDRESS, **changes).described()["tls"]  # type: ignore[arg-type]
