"""Runs the examples in the docstrings of the Python client against a server."""

import doctest

import pytest

import chaja.channel
import chaja.client
import chaja.importing
from sample.server_process import ServerProcess
from tests.docs.test_commands import ADDRESS

MODULES = (chaja.channel, chaja.client, chaja.importing)
EXAMPLES = [
    test for module in MODULES for test in doctest.DocTestFinder().find(module, globs={}) if len(test.examples) > 0
]


@pytest.mark.parametrize("test", EXAMPLES, ids=lambda test: test.name)
def test_the_examples_of_a_docstring_run(test: doctest.DocTest, writable_server: ServerProcess) -> None:
    for example in test.examples:
        example.source = example.source.replace(ADDRESS, writable_server.address)
    assert doctest.DocTestRunner().run(test).failed == 0


def test_every_public_name_has_an_example() -> None:
    assert set(chaja.__all__) - {"__version__"} <= {test.name.rpartition(".")[2] for test in EXAMPLES}
