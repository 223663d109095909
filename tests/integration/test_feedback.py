"""Feedback of a running server: the ids of searches, roles, and events that survive a kill."""

import contextlib
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

import chaja
from chaja.v1 import (
    BatchSearchRequest,
    EraseFeedbackRequest,
    FeedbackEvent,
    FeedbackKind,
    LearnRequest,
    ListPromotionsRequest,
    RecordFeedbackRequest,
    ReloadRequest,
    SearchRequest,
    SuggestRequest,
)
from sample.server_process import ServerProcess
from tests.integration.errors import code_of, error_of
from tests.integration.serving import sample_server, wait_until
from tests.tiny_bundle import make_bundle

TOKENS = {role: f"{role}-token-0123456789" for role in ("search", "write")}


def click(number: int = 0, *, user: str = "", document_id: str = "electricity-bill") -> FeedbackEvent:
    return FeedbackEvent(
        search_id=f"s{number}",
        query="지갑을 잃어버렸어",
        document_id=document_id,
        kind=FeedbackKind.FEEDBACK_KIND_CLICKED,
        user_key=user or f"u{number}",
        rank=1,
    )


@contextlib.contextmanager
def serving(bundle: Path, data: Path, *flags: str) -> Iterator[ServerProcess]:
    with sample_server(bundle, "--data", str(data), *flags) as server:
        yield server


def test_each_answer_has_its_own_id_that_feedback_takes(tiny_bundle: Path, tmp_path: Path) -> None:
    with serving(tiny_bundle, tmp_path) as server, chaja.connect(server.address) as client:
        request = SearchRequest(query="카드 분실", limit=3)
        answers = [client.search.Search(request) for _ in range(2)]
        answers += client.search.BatchSearch(BatchSearchRequest(requests=[request] * 3)).responses
        assert len({answer.search_id for answer in answers}) == 5
        events = [
            FeedbackEvent(
                search_id=answers[0].search_id,
                query=request.query,
                document_id=hit.document_id,
                kind=FeedbackKind.FEEDBACK_KIND_SHOWN,
                user_key="u",
                rank=rank,
            )
            for rank, hit in enumerate(answers[0].hits, 1)
        ]
        response = client.feedback.RecordFeedback(RecordFeedbackRequest(events=[*events, *events]))
        assert (response.recorded_count, response.known_count) == (3, 3)


def test_acknowledged_feedback_survives_a_kill(tiny_bundle: Path, tmp_path: Path) -> None:
    with serving(tiny_bundle, tmp_path) as server, chaja.connect(server.address) as client:

        def record(number: int) -> int:
            return client.feedback.RecordFeedback(RecordFeedbackRequest(events=[click(number)])).recorded_count

        with ThreadPoolExecutor(16) as threads:
            assert sum(threads.map(record, range(200))) == 200
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with serving(tiny_bundle, tmp_path) as server, chaja.connect(server.address) as client:
        again = RecordFeedbackRequest(events=[click(number) for number in range(201)])
        response = client.feedback.RecordFeedback(again)
        assert (response.known_count, response.recorded_count) == (200, 1)


def test_recording_needs_the_role_search_and_erasing_write(tiny_bundle: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("".join(f"{role} {role} {token}\n" for role, token in TOKENS.items()))
    with (
        serving(tiny_bundle, tmp_path / "data", "--tokens", str(tokens)) as server,
        chaja.connect(server.address, token=TOKENS["search"]) as searcher,
        chaja.connect(server.address, token=TOKENS["write"]) as writer,
    ):
        searcher.feedback.RecordFeedback(RecordFeedbackRequest(events=[click(), click(1)]))
        for method, request in (
            (searcher.feedback.EraseFeedback, EraseFeedbackRequest(user_key="u0")),
            (searcher.feedback.ListPromotions, ListPromotionsRequest()),
        ):
            assert code_of(method, request) is grpc.StatusCode.PERMISSION_DENIED
        assert writer.feedback.EraseFeedback(EraseFeedbackRequest(user_key="u0")).erased_count == 1
        assert not writer.feedback.ListPromotions(ListPromotionsRequest()).promotions


@pytest.mark.parametrize("flags", [(), ("--feedback-days", "0")])
def test_a_server_that_keeps_no_feedback_says_so(tiny_bundle: Path, tmp_path: Path, flags: tuple[str, ...]) -> None:
    data = ["--data", str(tmp_path)] if flags else []
    with sample_server(tiny_bundle, *data, *flags) as server, chaja.connect(server.address) as client:
        error = error_of(client.feedback.RecordFeedback, RecordFeedbackRequest(events=[click()]))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "keeps no feedback: start it with --data" in error.details()


def test_what_users_click_is_suggested_first(tiny_bundle: Path, tmp_path: Path) -> None:
    def first(client: chaja.Client) -> str:
        return client.suggest.Suggest(SuggestRequest(text="카드", limit=1)).suggestions[0].document_id

    with serving(tiny_bundle, tmp_path) as server, chaja.connect(server.address) as client:
        suggested = client.suggest.Suggest(SuggestRequest(text="카드", limit=9)).suggestions
        before, wanted = suggested[0].document_id, suggested[-1].document_id
        assert before != wanted
        events = [click(number, document_id=wanted) for number in range(20)]
        client.feedback.RecordFeedback(RecordFeedbackRequest(events=events))
    with serving(tiny_bundle, tmp_path) as server, chaja.connect(server.address) as client:
        wait_until(lambda: first(client) == wanted)


def test_a_running_server_learns_from_clicks_and_takes_it_back(tiny_bundle: Path, tmp_path: Path) -> None:
    with serving(tiny_bundle, tmp_path) as server, chaja.connect(server.address) as client:
        client.feedback.RecordFeedback(RecordFeedbackRequest(events=[click(1), click(2)]))
        planned = client.feedback.Learn(LearnRequest(dry_run=True))
        assert (planned.added_count, planned.changed_count, planned.question_count) == (1, 0, 1)
        assert len(planned.recalls) == 2
        learnt = client.feedback.Learn(LearnRequest())
        assert (learnt.added_count, learnt.changed_count) == (1, 1)
        (promotion,) = client.feedback.ListPromotions(ListPromotionsRequest()).promotions
        assert promotion.document_id == "electricity-bill"
        undone = client.feedback.Learn(LearnRequest(undo=True))
        assert (undone.withdrawn_count, undone.changed_count, undone.question_count) == (1, 1, 0)
        assert not client.feedback.ListPromotions(ListPromotionsRequest()).promotions
        assert not [line for line in server.lines if "Traceback" in line]


def test_a_replaced_bundle_is_reloaded_before_the_server_learns(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    with (
        serving(bundle, tmp_path / "data", "--watch-seconds", "0") as server,
        chaja.connect(server.address) as client,
    ):
        bundle.rename(tmp_path / "old")
        make_bundle(bundle, seed=11)
        error = error_of(client.feedback.Learn, LearnRequest())
        assert error.code() is grpc.StatusCode.INTERNAL
        assert "reload first" in error.details()
        client.admin.Reload(ReloadRequest())
        assert client.feedback.Learn(LearnRequest()).added_count == 0


def test_a_server_that_learns_at_an_interval_stops_at_once(tiny_bundle: Path, tmp_path: Path) -> None:
    with serving(tiny_bundle, tmp_path, "--learn-every-seconds", "1") as server:
        wait_until(lambda: any("learnt from feedback" in line for line in server.lines), seconds=60)
    assert not [line for line in server.lines if "Traceback" in line]
