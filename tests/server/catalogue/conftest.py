"""Fixtures of stores: tests that take them run with each database that can hold a store."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from server.catalogue.location import DatabaseUrl, Location
from server.catalogue.store import Store
from tests.postgresql import Cluster


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def new_location(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Location]:
    """Makes empty places for stores."""
    if request.param == "sqlite":
        return lambda: tmp_path_factory.mktemp("data")
    return request.getfixturevalue("cluster").new_database  # type: ignore[no-any-return]


@pytest.fixture
def location(new_location: Callable[[], Location]) -> Location:
    """An empty place for a store."""
    return new_location()


@pytest.fixture
def store(location: Location) -> Iterator[Store]:
    with contextlib.closing(Store(location)) as store:
        yield store


@pytest.fixture
def url(cluster: Cluster) -> DatabaseUrl:
    """An empty database of PostgreSQL."""
    return cluster.new_database()
