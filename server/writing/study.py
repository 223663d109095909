"""Runs `server.feedback.process`, which finds what feedback teaches, beside the server."""

import asyncio
import contextlib
import os
import sys
import tempfile

import msgspec

from server.errors import LearningFailed, first_line
from server.feedback.process import TASK, Studied, Task

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


async def run_study(task: Task) -> Studied:
    """Returns what feedback teaches. If it is cancelled, it ends the process. Raises LearningFailed."""
    try:
        # Here, not in the process, which may be killed.
        with tempfile.TemporaryDirectory(prefix="chaja-learn-") as folder:
            return await _run(task, folder)
    except OSError as error:
        raise LearningFailed(first_line(error)) from None


async def _run(task: Task, folder: str) -> Studied:
    # In a separate session, so that a terminal's Ctrl-C reaches only the server, which ends the process.
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        Task.__module__,  # `server.feedback.process`; the wheel renames packages.
        folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env=os.environ | ONE_THREAD | {TASK: msgspec.json.encode(task).decode()},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        # Not `communicate`, which closes the input: that would end the process.
        output, errors = await asyncio.gather(process.stdout.read(), process.stderr.read())
        code = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if code:
        lines = errors.decode(errors="replace").strip().splitlines()
        raise LearningFailed(lines[-1] if lines else f"its process ended with the exit code {code}")
    return msgspec.json.decode(output, type=Studied)
