"""States of shards: what is kept, and which one a search uses."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from server.catalogue.document import Document
from server.errors import NotReady
from server.lexical.tokens import terms_of
from server.ranking.options import Mode, SearchOptions
from server.ranking.query_rules import NO_RULES
from server.ranking.search import search
from server.ranking.understanding import reading_of, understand
from server.sharding.messages import CountTerms, Question
from server.sharding.shard import KEPT_STATES, Shard, StateGone
from tests.server.catalogues import Log, empty_index, encode
from tests.server.sharding.making import Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(3, tmp_path)
    yield cluster
    cluster.close()


def fill(cluster: Cluster, log: Log, count: int) -> None:
    for number in range(count):
        added, retired, sequence = log.group([Document(id=f"d{number}", title=f"카드 {number}")])
        cluster.follow(added, retired, sequence, NO_RULES)


def found(cluster: Cluster, query: str, mode: Mode = Mode.HYBRID) -> list[int]:
    hits = cluster.coordinator.search(query, encode([query])[0], SearchOptions(50, mode)).documents
    return [each.sequence for each in hits]


def test_a_shard_has_its_own_documents_and_the_sequence_of_all(cluster: Cluster) -> None:
    log = Log()
    fill(cluster, log, 12)
    states = [shard.index.state for shard in cluster.shards]
    assert [state.sequence for state in states] == [12] * 3
    assert sorted(id for state in states for id in state.ids) == sorted(log.documents)
    assert all(shard.owns(id) for shard in cluster.shards for id in shard.index.state.ids)
    assert sorted(found(cluster, "카드")) == list(range(1, 13))


def test_a_shard_keeps_its_latest_states(tmp_path: Path) -> None:
    log, shard = Log(), Shard(empty_index(tmp_path), number=0, count=1)
    for number in range(2 * KEPT_STATES):
        added, retired, sequence = log.group([Document(id=f"d{number}", title="카드")])
        shard.follow(added, retired, sequence=sequence)
    assert shard.sequences == list(range(KEPT_STATES + 1, 2 * KEPT_STATES + 1))
    requests = (CountTerms(terms_of(["카드"])[0]),)
    ((counted,),) = [shard.answer(Question(KEPT_STATES + 3, None, requests))]
    assert counted.totals.documents == KEPT_STATES + 3
    with pytest.raises(StateGone, match="shard 0 does not have the documents of sequence 3"):
        shard.answer(Question(3, None, requests))
    shard.index.close()


def test_a_state_does_not_change_while_changes_are_applied_in_portions(tmp_path: Path) -> None:
    log, shard = Log(), Shard(empty_index(tmp_path), number=0, count=1)

    def documents(sequence: int) -> int:
        ((counted,),) = [shard.answer(Question(sequence, None, (CountTerms(terms_of(["카드"])[0]),)))]
        return int(counted.totals.documents)

    for number in range(2):
        added, _, sequence = log.group([Document(id=f"d{number}", title="카드")])
        shard.follow(added, [], sequence=sequence)
    added, _, sequence = log.group([Document(id="d2", title="카드"), Document(id="d3", title="카드")])
    shard.index.follow(added[:1], [], sequence=2)
    shard.refresh()
    assert documents(2) == 2
    shard.follow(added[1:], [], sequence=sequence)
    assert (documents(2), documents(4)) == (2, 4)
    shard.index.close()


def test_a_search_uses_the_newest_sequence_that_all_shards_have(cluster: Cluster) -> None:
    log = Log()
    fill(cluster, log, 3)
    added, retired, sequence = log.group([Document(id="new", title="환율")])
    cluster.coordinator.follow(added, sequence=sequence)
    for shard in cluster.shards[1:]:
        shard.follow(added, retired, sequence=sequence)
    cluster.coordinator.hold(shard.sequences for shard in cluster.shards)
    assert cluster.coordinator.state.sequence == sequence - 1
    assert found(cluster, "환율", Mode.LEXICAL) == []
    cluster.shards[0].follow(added, retired, sequence=sequence)
    cluster.coordinator.hold(shard.sequences for shard in cluster.shards)
    assert found(cluster, "환율", Mode.LEXICAL) == [sequence]
    cluster.coordinator.hold([[1, 2], [3], [3]])
    with pytest.raises(NotReady, match="no state in common"):
        found(cluster, "환율")


def test_a_search_whose_state_is_gone_is_tried_with_the_newest_one(cluster: Cluster) -> None:
    log = Log()
    fill(cluster, log, 3)
    asked = []
    ask = cluster.coordinator._ask

    def late(question: Question) -> Sequence[tuple[Any, ...]]:
        asked.append(question.sequence)
        if len(asked) == 1:
            fill(cluster, log, KEPT_STATES + 1)
        return ask(question)

    cluster.coordinator._ask = late
    fill(cluster, log, 1)
    assert len(found(cluster, "카드")) == KEPT_STATES + 1
    assert asked[0] < asked[-1]


def test_most_searches_take_few_rounds(cluster: Cluster) -> None:
    fill(cluster, Log(), 20)

    def rounds(query: str, mode: Mode) -> int:
        cluster.rounds = 0
        state = cluster.coordinator.state
        understood = understand(query, reading_of(query, state), state, mode)
        search(state, understood.text, encode([query])[0], SearchOptions(10, mode), words=understood.words)
        return cluster.rounds

    assert rounds("카드 3", Mode.LEXICAL) == 2
    assert rounds("카드 3", Mode.LEXICAL) == 1  # The counts of its terms are known.
    assert rounds("카드 5", Mode.DENSE) == 2
    assert rounds("카드 7", Mode.HYBRID) <= 3
