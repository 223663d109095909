from pathlib import Path

import pytest

from server.catalogue.feedback import Event, FeedbackKind, FeedbackLog
from server.writing import demand, live_catalogue
from server.writing.demand import MOST_USERS, Demand
from tests.server.making import until
from tests.server.writing.making import running, titled, upserts


def clicks(id: str, users: int) -> list[Event]:
    return [Event("s", "환율", id, FeedbackKind.CLICKED, f"u{user}") for user in range(users)]


async def test_demand_grows_with_users_and_is_counted_now_and_then(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, tiny_bundle) as core:
        await core.writer.upsert(upserts(titled("a"), titled("b"), titled("c")))
        log = FeedbackLog(core.store)
        log.record([clicks("a", 1), clicks("b", 20), clicks("c", MOST_USERS + 5)])
        counted = Demand(log)
        demands = counted.newest()
        assert demands is not None
        assert 0 < demands["a"] < demands["b"] < demands["c"] == 1
        assert counted.newest() is None, "it is not time yet"
        monkeypatch.setattr(demand, "WINDOW_DAYS", -1)
        assert Demand(log).newest() == {}, "older feedback does not count"


async def test_suggestions_follow_feedback(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_catalogue, "MAINTENANCE_SECONDS", 0.01)
    monkeypatch.setattr(demand, "LEAST_SECONDS", 0.01)
    monkeypatch.setattr(demand, "COST_FACTOR", 0)
    async with running(tmp_path, tiny_bundle) as core:

        def first() -> str:
            state = core.index.state
            return state.ids[state.suggestions.suggest("환율", limit=1)[0].slot]

        await core.writer.upsert(upserts(titled("a", "환율 하나"), titled("b", "환율 둘둘")))
        assert first() == "a"
        await core.catalogue.feedback.record(clicks("b", 3))
        await until(lambda: first() == "b")
        await core.catalogue.feedback.run(lambda log: [log.erase_user(f"u{user}") for user in range(3)])
        await until(lambda: first() == "a")
