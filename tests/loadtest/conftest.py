import pytest

from loadtest.requests.method import Method, find_method
from loadtest.target import Target


@pytest.fixture
async def method() -> Method:
    """A method of Chaja."""
    return await find_method("Search", target=Target(address="127.0.0.1:1"))
