import errno

import pytest

import export.__main__ as command
from tests.export.command_line import assert_one_line, export


def failing(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def fail(arguments: object) -> None:
        raise error

    monkeypatch.setattr(command, "_export", fail)


def test_an_error_of_the_system_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "bundle/model.onnx"))
    assert_one_line(export("--out", "x"), "No space left on device: 'bundle/model.onnx'")


def test_a_closed_pipe_is_left_to_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, BrokenPipeError())
    with pytest.raises(BrokenPipeError):
        export("--out", "x")
