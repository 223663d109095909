"""The exceptions of the load tester, and the exit code of each.

LoadtestError
 ├── UsageError        a flag, a data file, a method or an objective is wrong: exit code 2
 ├── ResultsError      a results file cannot be read or written: exit code 2
 └── AttackError       the attack could not be run: exit code 1
      └── Denied       the server denies access to every call
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    FAILED = 1
    USAGE = 2
    SATURATED = 3
    ASSERTION = 99  # As k6.
    INTERRUPTED = 130
    CLOSED_PIPE = 141  # 128 plus the number of SIGPIPE, as a shell reports it for other programs.


EXIT_CODES = {
    ExitCode.OK: "success",
    ExitCode.FAILED: "the attack could not run, a generator process failed during the run, or no call succeeded",
    ExitCode.USAGE: "a wrong flag or file",
    ExitCode.SATURATED: "the generator was saturated, and every assertion was met; 0 with `--tolerate late`",
    ExitCode.ASSERTION: "an assertion was not met, also if the generator was saturated; then 3 with `--tolerate "
    "missed-when-late`",
    ExitCode.INTERRUPTED: "interrupted; the results until then are kept, and reported as partial",
    ExitCode.CLOSED_PIPE: "the reader of the output, such as `head`, closed the pipe",
}
"""The meaning of each exit code, for `--help` and the documents."""


class LoadtestError(Exception):
    """An error that a user can fix; the message says what is wrong and, where possible, what to do."""

    exit_code = ExitCode.FAILED


class UsageError(LoadtestError):
    """A flag, a data file, a method or an objective is wrong."""

    exit_code = ExitCode.USAGE


class ResultsError(LoadtestError):
    """A results file cannot be read or written."""

    exit_code = ExitCode.USAGE


class AttackError(LoadtestError):
    """The attack could not be run."""


class Denied(AttackError):
    """The server denies access to every call: the token is missing or wrong, or its role does not suffice."""
