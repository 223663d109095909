"""`python -m loadtest`, and the command `chaja-loadtest` of the wheel."""

import os
import signal
import sys

# gRPC reads it on import. An error's message contains what it would log.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def main() -> int:
    """Runs a command; returns the exit code (see `loadtest.errors.ExitCode`)."""
    # The imports take a second, in which Ctrl-C ends the process at once instead of raising in the middle of a module.
    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if raises:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from loadtest.command_line import run_command  # noqa: PLC0415
    from loadtest.errors import ExitCode  # noqa: PLC0415

    try:
        if raises:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return run_command()
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
