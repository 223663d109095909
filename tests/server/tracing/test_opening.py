import sys

import pytest

from server.errors import SettingsError
from server.setting_types import Address, CollectorAddress, parse_collector
from server.tracing.opening import open_tracer

ENDPOINT = CollectorAddress(Address("collector", 4317), False)


def test_without_an_endpoint_there_is_no_tracer() -> None:
    assert open_tracer(None, share=1.0, on_dropped=lambda _: None) is None


def test_without_the_extra_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith(("opentelemetry", "server.tracing.tracer"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(SettingsError, match=r"^--trace-endpoint needs .*: pip install 'chaja-server\[otel\]'$"):
        open_tracer(ENDPOINT, share=1.0, on_dropped=lambda _: None)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("collector:4317", ENDPOINT),
        ("http://collector:4317", ENDPOINT),
        ("https://[::1]:4317", CollectorAddress(Address("::1", 4317), True)),
    ],
)
def test_the_address_of_a_collector_is_parsed(text: str, address: CollectorAddress) -> None:
    assert parse_collector(text) == address


@pytest.mark.parametrize("text", ["collector", "grpc://collector:1", "http://", "http://collector:1/path", ""])
def test_any_other_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected host:port"):
        parse_collector(text)
