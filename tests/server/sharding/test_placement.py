import pytest

from server.sharding.placement import shard_of


@pytest.mark.parametrize(("id", "shards"), [("card-lost", [0, 0, 2]), ("환율", [0, 1, 2]), ("\ud800", [0, 0, 4])])
def test_the_shard_of_a_document_never_changes(id: str, shards: list[int]) -> None:
    assert [shard_of(id, count) for count in (1, 2, 5)] == shards


def test_documents_are_spread_evenly() -> None:
    counts = [0] * 5
    for number in range(10_000):
        counts[shard_of(f"d{number}", 5)] += 1
    assert min(counts) > 1850
