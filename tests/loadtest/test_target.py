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
    described["compression"] = ""
    assert target.described() == described


def test_a_header_of_grpc_itself_is_refused_for_what_it_is() -> None:
    with pytest.raises(UsageError, match="--header grpc-timeout is set by gRPC or HTTP/2 itself"):
        Target(address=ADDRESS, headers=(("grpc-timeout", "1S"),))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        *(
            ({"headers": ((name, "value"),)}, "header")
            for name in ("", "x y", "x:y", "이름", "grpc-timeout", "x-bin", "x\n")
        ),
        *(
            ({"address": each}, "is not an address")
            for each in (
                "",
                "host",
                "host:0",
                "host:70000",
                ":1",
                "http://host:1",
                "a:1,",
                "a:1,b",
                ",a:1",
                "::1:1",
                "a:١",
                "unix:",
                "dns:",
                "dns:host",
                "dns://server",
                "ipv4:1.2.3.4",
                "ipv6:[::1]",
            )
        ),
        *(({"address": each}, "IP") for each in ("ipv4:host:1", "ipv4:[::1]:1", "ipv6:1.2.3.4:1")),
        ({"compression": "brotli"}, "is one of gzip, deflate"),
        ({"insecure_skip_verify": True, "ca_file": Path("a")}, "remove it or --ca"),
        ({"address": "a:1,b:1", "connections": 129}, "from 1 to 128 to each of 2 addresses, not 129"),
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
    ("address", "uris"),
    [
        ("search:50051", ["dns:///search:50051"]),
        ("dns:50051", ["dns:///dns:50051"]),
        ("dns:search:50051", ["dns:///search:50051"]),
        ("dns:///search:50051", ["dns:///search:50051"]),
        ("dns://10.0.0.1:53/search:50051", ["dns://10.0.0.1:53/search:50051"]),
        ("[::1]:50051", ["dns:///[::1]:50051"]),
        ("검색.example:50051", ["dns:///xn--c79as89a.example:50051"]),
        ("unix:/tmp/소켓", ["unix:/tmp/%EC%86%8C%EC%BC%93"]),
        ("unix:///tmp/x", ["unix:/tmp/x"]),
        ("unix:/tmp/a,b", ["unix:/tmp/a%2Cb"]),
        ("unix-abstract:name", ["unix-abstract:name"]),
        ("ipv4:10.0.0.1:5", ["ipv4:10.0.0.1:5"]),
        ("ipv4:10.0.0.1:5,10.0.0.2:6", ["ipv4:10.0.0.1:5", "ipv4:10.0.0.2:6"]),
        ("ipv6:[::1]:5,[::2]:6", ["ipv6:[::1]:5", "ipv6:[::2]:6"]),
        ("a:1,dns:b:2,unix:/c,[::1]:3", ["dns:///a:1", "dns:///b:2", "unix:/c", "dns:///[::1]:3"]),
        ("a:1, unix:/c , b:2", ["dns:///a:1", "unix:/c", "dns:///b:2"]),
    ],
)
def test_an_address_becomes_a_grpc_uri_and_a_list_several(address: str, uris: list[str]) -> None:
    assert Target(address=address).uris == uris


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "ca.pem"
    with pytest.raises(UsageError, match=r"ca\.pem cannot be read: No such file"):
        Target(address=ADDRESS, ca_file=missing).credentials()


@pytest.mark.parametrize("changes", [{"tls": True}, {"ca_file": Path("a")}])
def test_certificates_imply_tls(changes: dict[str, bool]) -> None:
    assert Target(address=ADDRESS, **changes).described()["tls"]  # type: ignore[arg-type]
