import dataclasses
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from loadtest.errors import AttackError, UsageError
from loadtest.generator.wire import decode_plan, encode_plan
from loadtest.plan import Call, Plan
from loadtest.requests.method import Method
from loadtest.requests.queries import Query
from loadtest.schedule import constant, replay, step
from loadtest.target import Target
from tests.integration.certificates import Authority

QUERIES = (Query("0", {"query": "하나 둘", "n": 2**63, "deep": [{"x": [1.5, None, True]}]}), Query("b", {}))


def make(method: Method, **changes: Any) -> Plan:
    target = Target(address="127.0.0.1:1", headers=(("x-key", "v"),), token="t", connections=3)
    calls = (Call(method=method, weight=0.5, template={"query": "{{query}}"}), Call(method=method, queries_per_call=2))
    given: dict[str, Any] = {"schedule": constant(10), "count": 7}
    return Plan(**{"target": target, "calls": calls, "queries": QUERIES, **given, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"schedule": None, "in_flight": 4, "processes": 4},
        {"schedule": replay([0.5, 1.5, 1.75]), "seconds": math.inf},
        {"schedule": step(1, 9, steps=3, seconds=5, warm_up_seconds=1), "warm_up_seconds": 1.0, "seconds": 5.0},
        {"labels": {"0": {"card-lost": 1}, "b": {}}, "quality_at": 3},
        {"reference_answers": {(0, (0,)): b"\x00\xff", (1, (0, 1)): b""}},
        {"order": "zipf", "metrics_url": "http://m"},
    ],
)
def test_a_plan_arrives_as_it_was_sent(method: Method, changes: dict[str, Any]) -> None:
    plan = make(method, **changes)
    again = decode_plan(encode_plan(plan))
    assert again == plan
    assert again.calls[0].method.request_class().SerializeToString() == b""


def test_the_token_of_the_metrics_stays_here(method: Method) -> None:
    assert decode_plan(encode_plan(make(method, metrics_token="hidden"))) == make(method)


def test_every_attribute_of_a_plan_arrives(method: Method) -> None:
    plan = make(method)
    again = decode_plan(encode_plan(plan))
    for field in dataclasses.fields(Plan):
        assert type(getattr(again, field.name)) is type(getattr(plan, field.name)), field.name


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_certificates_arrive_with_their_contents(method: Method, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    ca_file, (certificate_file, key_file) = authority.pair.certificate, authority.signed("client")
    target = Target(address="127.0.0.1:1", ca_file=ca_file, certificate_file=certificate_file, key_file=key_file)
    again = decode_plan(encode_plan(make(method, target=target))).target
    assert again.ca_file is again.certificate_file is again.key_file is None
    for path in (ca_file, certificate_file, key_file):
        path.unlink()
    assert again.credentials() is not None
    assert again.described() == target.described()
    assert "PRIVATE" not in repr(again)


def test_a_certificate_that_cannot_be_read_is_named(method: Method, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ca\.pem cannot be read"):
        encode_plan(make(method, target=Target(address="127.0.0.1:1", ca_file=tmp_path / "ca.pem")))


@pytest.mark.parametrize(("value", "says"), [(10**30, "beyond 64 bits"), ("\ud800", "half of a surrogate pair")])
def test_a_value_that_cannot_be_sent_is_refused(method: Method, value: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        encode_plan(make(method, queries=(Query("0", {"query": value}),)))


@pytest.mark.parametrize("encoded", [b"", b"\xc1", b"\x80", b"\x81\xa5calls\x01"])
def test_bytes_that_are_no_plan_are_refused(encoded: bytes) -> None:
    with pytest.raises(AttackError, match="does not understand the plan"):
        decode_plan(encoded)
