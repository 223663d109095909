"""Flags for the generator machines."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from loadtest.addresses import is_local, shown
from loadtest.errors import UsageError
from loadtest.target import Target


def add_machine_options(parser: argparse.ArgumentParser) -> None:
    """Adds the flags."""
    add = parser.add_argument_group("other generator machines").add_argument
    workers = "send the load from these machines, each of which runs the command worker, instead of from this one"
    add("--workers", default=None, metavar="HOST:PORT,…", help=workers)
    token = os.environ.get("CHAJA_WORKER_TOKEN", "")
    secret = "token of the workers (default: environment variable CHAJA_WORKER_TOKEN)"  # noqa: S105  a text
    add("--worker-token", default=token, metavar="TOKEN", help=secret)
    trusted = "encrypt the connections to the workers, and trust these certificates"
    add("--worker-ca", type=Path, metavar="FILE", help=trusted)
    add("--worker-cert", type=Path, metavar="FILE", help="our certificate, for workers with --client-ca")
    add("--worker-key", type=Path, metavar="FILE", help="key of our certificate")


def workers_of(options: argparse.Namespace) -> list[Target]:
    """Returns the generator machines of the flags; empty for this machine alone.

    Raises:
        UsageError: An address is malformed or occurs twice, or a flag is missing.
    """
    files = {"ca_file": options.worker_ca, "certificate_file": options.worker_cert, "key_file": options.worker_key}
    if options.workers is None:
        if any(files.values()):
            raise UsageError("--worker-ca, --worker-cert and --worker-key need --workers")
        return []
    addresses = [address.strip() for address in options.workers.split(",")]
    if twice := {address for address in addresses if addresses.count(address) > 1}:
        raise UsageError(f"--workers names {min(twice)} twice; use --processes for more processes of a machine")
    try:
        return [Target(address=address, token=options.worker_token, **files) for address in addresses]
    except UsageError as error:
        raise UsageError(f"--workers: {error}") from None


def warn_about_local_target(target: Target, workers: Sequence[Target]) -> None:
    """Prints a warning if workers on other machines would look for the server on their machines."""
    local = [uri for uri in target.uris if is_local(uri)]
    if local and not all(is_local(uri) for worker in workers for uri in worker.uris):
        print(
            f"warning: each machine of --workers connects to its own {shown(local[0])}: give an address of the server "
            "that all of them can reach",
            file=sys.stderr,
        )
