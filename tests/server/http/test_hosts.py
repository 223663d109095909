import pytest

from server.http.hosts import is_local


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:9464", "127.1.2.3", "[::1]", "[::1]:9464"])
def test_names_of_this_machine_are_local(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", ":80", "example.com", "10.0.0.1", "localhost.example.com", "user@localhost", "a{b}.example"),
        *('a"b.example', "localhost:x", "localhost:1:2", "[::2]", "::1", "127.0.0.1, example.com", " localhost"),
    ],
)
def test_other_names_and_invalid_ones_are_not(host: str) -> None:
    assert not is_local(host)
