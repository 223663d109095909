"""What can go wrong, and the exit code that says so.

LoadtestError
 ├── UsageError        a flag, a data file, a method or an objective is wrong: exit code 2
 ├── ResultsError      a results file cannot be read: exit code 2
 └── AttackError       the attack could not be run, or no call succeeded: exit code 1
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a shell or a CI job learns."""

    OK = 0
    FAILED = 1  # The attack could not be run or not be made whole, or not one call succeeded.
    USAGE = 2  # A flag or a file is wrong.
    SATURATED = 3  # The generator was the limit: the figures say nothing about the server.
    ASSERTION = 99  # An assertion was not met; the same code as k6 has.
    INTERRUPTED = 130  # Ctrl-C or SIGTERM; what there was until then is kept.


class LoadtestError(Exception):
    """Anything that a user can mend; the message says what is wrong and, where it can, what to do."""

    exit_code = ExitCode.FAILED


class UsageError(LoadtestError):
    """A flag, a data file, a method or an objective is wrong."""

    exit_code = ExitCode.USAGE


class ResultsError(LoadtestError):
    """A results file cannot be read."""

    exit_code = ExitCode.USAGE


class AttackError(LoadtestError):
    """The attack could not be run."""
