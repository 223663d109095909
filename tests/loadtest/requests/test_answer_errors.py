from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status

from chaja.v1 import (
    BatchSearchResponse,
    DeleteDocumentsResponse,
    FeedbackRefusal,
    FeedbackRefusalReason,
    ImportDocumentsResponse,
    RecordFeedbackResponse,
    SearchError,
    SearchResponse,
    SearchStreamResponse,
    UpsertDocumentsResponse,
    WriteError,
    WriteResult,
)
from loadtest.codes import CODES
from loadtest.errors import UsageError
from loadtest.requests.answer_errors import AnswerErrors, ErrorReader, check_paths
from loadtest.requests.method import find_method
from loadtest.target import Target

PROTO = """
syntax = "proto3";
package shop;
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
service Orders {
  rpc Get(Order) returns (Order);
  rpc Follow(Order) returns (stream Status);
  rpc Open(Order) returns (google.protobuf.Any);
}
message Order {
  repeated Line lines = 1;
  Status status = 2;
  map<string, Status> by_shop = 3;
  repeated Status all = 4;
  State state = 5;
  int32 number = 6;
  string problem = 7;
  bool failed = 8;
  Refusal refusal = 9;
  optional int32 perhaps = 10;
  google.protobuf.Any packed = 11;
  repeated google.protobuf.Any all_packed = 12;
  WideStatus wide = 13;
  NamedStatus named = 14;
  ManyCodes many_codes = 15;
  google.protobuf.Int32Value wrapped = 16;
  google.protobuf.BoolValue truth = 17;
  google.protobuf.Value value = 18;
  float share = 19;
}
message WideStatus { uint64 code = 1; string message = 2; google.protobuf.Any details = 3; }
message NamedStatus { State code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
message ManyCodes { repeated int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
message Line { Fault fault = 1; }
message Fault { int32 code = 1; string message = 2; }
message Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
message Refusal { string why = 1; }
enum State { STATE_UNSPECIFIED = 0; STATE_OK = 1; STATE_NOT_FOUND = 2; STATE_BROKEN = 3;
  STATE_NOT_OK = 4; STATE_SUCCESS = 5; }
"""

UNAVAILABLE, NOT_FOUND, UNKNOWN, ABORTED = (
    CODES.index(name) for name in ("UNAVAILABLE", "NOT_FOUND", "UNKNOWN", "ABORTED")
)


@pytest.fixture
async def order(tmp_path: Path) -> type[Message]:
    (tmp_path / "shop.proto").write_text(PROTO)
    return (await find_method("Get", target=Target(address="x:1"), proto=tmp_path / "shop.proto")).response_class


@pytest.mark.parametrize(
    "response",
    [UpsertDocumentsResponse, DeleteDocumentsResponse, ImportDocumentsResponse],
    ids=lambda each: each.__name__,
)
def test_results_of_writes_are_parts(response: Any) -> None:
    results = [WriteResult(id="a"), WriteResult(error=WriteError(code=ABORTED, message="changed", reason="CONFLICT"))]
    assert ErrorReader(response).read([response(results=results)]) == AnswerErrors(2, 1, ABORTED, "changed")
    assert ErrorReader(response).read([response(results=results[:1])]) == AnswerErrors(1, 0)


def test_the_messages_of_a_stream_are_parts_and_the_first_error_counts() -> None:
    answers = [SearchStreamResponse(response=SearchResponse())]
    answers += [SearchStreamResponse(error=SearchError(code=code, reason=f"R{code}")) for code in (8, 3)]
    assert ErrorReader(SearchStreamResponse).read(answers) == AnswerErrors(3, 2, 8, "R8")


@pytest.mark.parametrize(("reason", "code"), [("UNKNOWN_DOCUMENT", "NOT_FOUND"), ("TOO_MANY", "RESOURCE_EXHAUSTED")])
def test_events_that_were_not_stored_are_failed_parts(reason: str, code: str) -> None:
    number = FeedbackRefusalReason.Value(f"FEEDBACK_REFUSAL_REASON_{reason}")
    answer = RecordFeedbackResponse(recorded_count=1, refusals=[FeedbackRefusal(position=1, reason=number)])
    read = ErrorReader(RecordFeedbackResponse).read([answer])
    assert (read.failed, CODES[read.code]) == (1, code)
    assert ErrorReader(RecordFeedbackResponse).read([RecordFeedbackResponse(recorded_count=2)]).failed == 0


def test_answers_without_fields_for_errors_are_not_read() -> None:
    assert not ErrorReader(SearchResponse)
    assert not ErrorReader(BatchSearchResponse)
    assert not ErrorReader(UpsertDocumentsResponse, ())


async def test_fields_of_the_shape_of_a_status_are_found_without_a_path(order: Any) -> None:
    status = {"code": UNAVAILABLE, "message": "gone"}
    read = ErrorReader(order).read
    assert read([order(lines=[{"fault": {"code": 3}}])]).failed == 0, "a fault is no status"
    assert read([order(many_codes={"code": [3]})]).failed == 0, "a list of codes is no code"
    assert read([order(status=status)])[1:] == (1, UNAVAILABLE, "gone")
    assert read([order(wide=status)])[1:] == (1, UNAVAILABLE, "gone")
    assert read([order(named={"code": 2, "message": "gone"})])[1:] == (1, NOT_FOUND, "gone")
    assert read([order(by_shop={"a": {}, "b": status})])[1:] == (1, UNAVAILABLE, "gone")
    before = read([order()]).parts
    many = order(all=[{}, {"code": 0, "message": "fine"}, status])
    assert read([many]) == AnswerErrors(before + 3, 1, UNAVAILABLE, "gone")
    assert read([order(status={"code": 0})]).failed == 0
    assert read([order(status={"code": 99})]).code == UNKNOWN


async def test_an_answer_that_is_a_status_is_a_part(order: Any, tmp_path: Path) -> None:
    proto = tmp_path / "shop.proto"
    status: Any = (await find_method("Follow", target=Target(address="x:1"), proto=proto)).response_class
    answers = [status(), status(code=UNAVAILABLE, message="gone"), status(code=0, message="fine")]
    assert ErrorReader(status).read(answers) == AnswerErrors(3, 1, UNAVAILABLE, "gone")
    assert not ErrorReader(status, ())


def packed(name: str, message: Message) -> dict[str, Any]:
    return {"type_url": f"type.example.com/{name}", "value": message.SerializeToString()}


async def test_a_status_within_an_any_is_an_error(order: Any, tmp_path: Path) -> None:
    proto = tmp_path / "shop.proto"
    opened: Any = (await find_method("Open", target=Target(address="x:1"), proto=proto)).response_class
    nested = order(packed=packed("google.rpc.Status", Status(code=UNAVAILABLE, message="gone")))
    outside = opened(**packed("shop.Order", nested))
    for answer in (nested, order(all_packed=[{}, packed("shop.Order", nested)]), outside):
        assert ErrorReader(type(answer)).read([answer])[1:] == (1, UNAVAILABLE, "gone")
    unknown = order(packed={"type_url": "x/shop.Missing", "value": b"1"}, all_packed=[packed("shop.Order", order())])
    malformed = order(packed={"type_url": "x/shop.Order", "value": b"\xff"})
    for answer in (order(), unknown, malformed):
        assert ErrorReader(order).read([answer]).failed == 0
    assert ErrorReader(order, ["packed"]).read([nested]) == AnswerErrors(1, 1, UNAVAILABLE, "gone")


async def test_an_answer_of_endless_any_is_malformed(order: Any, tmp_path: Path) -> None:
    proto = tmp_path / "shop.proto"
    opened: Any = (await find_method("Open", target=Target(address="x:1"), proto=proto)).response_class
    answer = opened()
    for _ in range(2000):
        answer = opened(**packed("google.protobuf.Any", answer))
    with pytest.raises(DecodeError, match="nested too deeply"):
        ErrorReader(opened).read([answer])


@pytest.mark.parametrize(
    ("path", "fields", "expected"),
    [
        ("lines.fault", {"lines": [{}, {"fault": {"code": 5, "message": "no"}}]}, AnswerErrors(2, 1, NOT_FOUND, "no")),
        ("lines.fault.code", {"lines": [{"fault": {"code": 5}}, {"fault": {}}]}, AnswerErrors(2, 1, NOT_FOUND, "")),
        ("number", {"number": 14}, AnswerErrors(1, 1, UNAVAILABLE, "")),
        ("number", {}, AnswerErrors(1, 0)),
        ("number", {"number": -1}, AnswerErrors(1, 1, UNKNOWN, "")),
        ("perhaps", {"perhaps": 5}, AnswerErrors(1, 1, NOT_FOUND, "")),
        ("state", {"state": 2}, AnswerErrors(1, 1, NOT_FOUND, "STATE_NOT_FOUND")),
        ("state", {"state": 3}, AnswerErrors(1, 1, UNKNOWN, "STATE_BROKEN")),
        ("state", {"state": 1}, AnswerErrors(1, 0)),
        ("state", {"state": 4}, AnswerErrors(1, 1, UNKNOWN, "STATE_NOT_OK")),
        ("state", {"state": 5}, AnswerErrors(1, 0)),
        ("wrapped", {"wrapped": {"value": 0}}, AnswerErrors(1, 0)),
        ("wrapped", {"wrapped": {"value": 14}}, AnswerErrors(1, 1, UNAVAILABLE, "")),
        ("truth", {"truth": {}}, AnswerErrors(1, 0)),
        ("truth", {"truth": {"value": True}}, AnswerErrors(1, 1, UNKNOWN, "value is true")),
        ("value", {"value": {"null_value": 0}}, AnswerErrors(1, 0)),
        ("value", {"value": {}}, AnswerErrors(1, 0)),
        ("value", {"value": {"string_value": "ABORTED"}}, AnswerErrors(1, 1, ABORTED, "ABORTED")),
        ("share", {"share": 0.5}, AnswerErrors(1, 1, UNKNOWN, "")),
        ("state", {"state": 77}, AnswerErrors(1, 1, UNKNOWN, "77")),
        ("problem", {"problem": "no stock"}, AnswerErrors(1, 1, UNKNOWN, "no stock")),
        ("problem", {"problem": "ABORTED"}, AnswerErrors(1, 1, ABORTED, "ABORTED")),
        ("problem", {}, AnswerErrors(1, 0)),
        ("failed", {"failed": True}, AnswerErrors(1, 1, UNKNOWN, "failed is true")),
        ("refusal", {"refusal": {"why": "late"}}, AnswerErrors(1, 1, UNKNOWN, 'why: "late"')),
        ("refusal", {}, AnswerErrors(1, 0)),
        ("all", {"all": [{"code": 5}, {}]}, AnswerErrors(2, 1, NOT_FOUND, "code: 5")),
        ("by_shop", {"by_shop": {"a": {"code": 5, "message": "x"}}}, AnswerErrors(1, 1, NOT_FOUND, "x")),
    ],
)
async def test_a_path_names_a_field_of_any_kind(
    order: Any, path: str, fields: dict[str, Any], expected: AnswerErrors
) -> None:
    assert ErrorReader(order, [path]).read([order(**fields)]) == expected


async def test_paths_replace_the_known_fields_and_one_of_them_suffices(order: Any) -> None:
    answer = order(status={"code": 5}, number=14)
    assert ErrorReader(order, ["number"]).read([answer]) == AnswerErrors(1, 1, UNAVAILABLE, "")
    assert ErrorReader(order, ["results", "number"]).read([answer]).parts == 1
    check_paths(["results.error", "number"], [order, UpsertDocumentsResponse])
    with pytest.raises(
        UsageError, match=r"--error-field lines\.wrong: no answer has this field: shop\.Order has lines, "
    ):
        check_paths(["lines.wrong"], [order])
