"""The exceptions of the load tester, and the exit code of each.

LoadtestError
 ├── UsageError        a flag, a data file, a method or an objective is wrong: exit code 2
 ├── ResultsError      a results file cannot be read: exit code 2
 └── AttackError       the attack could not be run, or no call succeeded: exit code 1
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    FAILED = 1  # The attack could not run, is partial, or no call succeeded.
    USAGE = 2  # A flag or a file is wrong.
    SATURATED = 3  # The generator was the limit: the figures say nothing about the server.
    ASSERTION = 99  # An assertion was not met; k6 uses the same code.
    INTERRUPTED = 130  # Ctrl-C or SIGTERM; partial results are kept.


class LoadtestError(Exception):
    """An error that a user can fix; the message says what is wrong and, where possible, what to do."""

    exit_code = ExitCode.FAILED


class UsageError(LoadtestError):
    """A flag, a data file, a method or an objective is wrong."""

    exit_code = ExitCode.USAGE


class ResultsError(LoadtestError):
    """A results file cannot be read."""

    exit_code = ExitCode.USAGE


class AttackError(LoadtestError):
    """The attack could not be run."""
