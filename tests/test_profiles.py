"""The profiles of Hypothesis, which `tests/conftest.py` registers."""

import json
import os
import subprocess
import sys

import pytest

from sample.server_process import REPOSITORY

PRINT = """
import json
import tests.conftest
from hypothesis import settings
chosen = settings()
print(json.dumps([chosen.derandomize, chosen.deadline, chosen.max_examples]))
"""


@pytest.mark.parametrize(
    ("environment", "derandomized", "examples"),
    [
        ({}, False, 100),
        ({"CI": "true"}, True, 100),
        ({"HYPOTHESIS_PROFILE": "random"}, False, 1000),
        ({"CI": "true", "HYPOTHESIS_PROFILE": "random"}, False, 1000),
        ({"HYPOTHESIS_PROFILE": "ci"}, True, 100),
    ],
)
def test_ci_tries_the_same_examples_in_every_run(
    environment: dict[str, str], derandomized: bool, examples: int
) -> None:
    others = {name: value for name, value in os.environ.items() if name not in ("CI", "HYPOTHESIS_PROFILE")}
    run = subprocess.run(
        [sys.executable, "-c", PRINT],
        cwd=REPOSITORY,
        env=others | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(run.stdout) == [derandomized, None, examples]
