"""`python -m loadtest worker`: sends load for a coordinator on another machine."""

from __future__ import annotations

import argparse
import os
import ssl
import sys
from pathlib import Path

import grpc

from loadtest.addresses import is_loopback
from loadtest.errors import ExitCode, UsageError
from loadtest.machines.service import serve
from loadtest.programs import PROGRAM
from loadtest.target import Target

EXAMPLES = f"""examples:
  on each of two machines, with the same token in the variable CHAJA_WORKER_TOKEN:
    {PROGRAM} worker --listen 0.0.0.0:50060
  on a third, with the token, too:
    {PROGRAM} attack server:50051 --queries queries.jsonl --rate 5000 --duration 60s \\
        --workers 10.0.0.1:50060,10.0.0.2:50060
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "worker",
        help="send load for a coordinator on another machine (attack --workers, slo --workers)",
        description="Waits for a coordinator (attack --workers, slo --workers), and sends the load that it plans.\n"
        "It serves one coordinator at a time, and sends nothing once that is gone. Ctrl-C ends it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    listen = "address to listen on; port 0 takes a free one (default: 127.0.0.1:50060)"
    add("--listen", default="127.0.0.1:50060", metavar="HOST:PORT", help=listen)
    token = os.environ.get("CHAJA_WORKER_TOKEN", "")
    add(
        "--token", default=token,
        help="token that coordinators must have (default: environment variable CHAJA_WORKER_TOKEN); required to listen "
        "to other machines",
    )  # fmt: skip
    add("--cert", type=Path, metavar="FILE", help="certificate; encrypts the connections")
    add("--key", type=Path, metavar="FILE", help="key of the certificate")
    add("--client-ca", type=Path, metavar="FILE", help="accept only coordinators with a certificate of this authority")


def run(options: argparse.Namespace) -> ExitCode:
    """Runs the command."""
    host, port = _address(options.listen)
    if not options.token and not is_loopback(host):
        raise UsageError(
            f"--listen {options.listen} is open to other machines: set the environment variable CHAJA_WORKER_TOKEN "
            "(or --token) to a secret"
        )
    Target(address="localhost:1", token=options.token)  # Rejects a token that no coordinator can send.
    credentials = _credentials(options)
    server, port = serve(f"{host}:{port}", token=options.token, credentials=credentials, log=_log)
    try:
        print(f"listening on {host}:{port}", flush=True)
        if credentials is None and not is_loopback(host):
            _log("connections are not encrypted (--cert, --key): the network can read tokens and requests")
        server.wait_for_termination()
    except KeyboardInterrupt:
        pass
    finally:
        server.stop(grace=None).wait()
    return ExitCode.OK


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not int(port) < 65536:
        raise UsageError(f"--listen expects HOST:PORT, not {text!r}")
    return host, int(port)


def _credentials(options: argparse.Namespace) -> grpc.ServerCredentials | None:
    if (options.cert is None) != (options.key is None) or (options.client_ca is not None and options.cert is None):
        raise UsageError("--cert needs --key, --key needs --cert, and --client-ca needs both")
    if options.cert is None:
        return None
    try:
        certificate, key = options.cert.read_bytes(), options.key.read_bytes()
        authority = options.client_ca.read_bytes() if options.client_ca else None
        # gRPC would only log malformed certificates.
        ssl.create_default_context(cafile=options.client_ca).load_cert_chain(options.cert, options.key, password="")
    except ssl.SSLError as error:
        raise UsageError(f"--cert, --key or --client-ca is not PEM, or they do not match: {error}") from None
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}") from None
    return grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=authority is not None)


def _log(line: str) -> None:
    print(f"worker: {line}", file=sys.stderr, flush=True)
