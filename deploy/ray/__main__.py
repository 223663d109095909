"""Runs the application on this machine, until SIGTERM or Ctrl-C: `python -m deploy.ray shards=2 bundle=… data=…`."""

import argparse
import contextlib
import importlib.util
import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from deploy.ray.options import Options
from server.catalogue.store import Store
from server.errors import ChajaError, StartError

PROGRAM = "python -m deploy.ray"


INSTALL = "shards need Ray: pip install 'ray[serve]>=2.60,<3'"

MAX_PORT = 65535

STOP_SECONDS = 10.0
"""Time for running calls to end after SIGTERM or Ctrl-C."""


def main() -> int:
    """Serves; returns the exit code."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Serve an index in shards with Ray on this machine.")
    parser.add_argument("--port", type=int, default=9000, help="port of the gRPC ingress; 0 chooses one (default 9000)")
    parser.add_argument("options", nargs="*", metavar="name=value", help="see deploy/ray/README.md")
    given = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        options = _options(given.options)
        port = _usable_port(given.port)
        _serve(options, port)
    except ValidationError as error:
        first = error.errors()[0]
        print(f"{PROGRAM}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}", file=sys.stderr)
        return 2
    except ChajaError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _options(given: Sequence[str]) -> Options:
    """Returns the options; raises ValidationError, or ChajaError if the bundle or the database cannot be used."""
    if importlib.util.find_spec("ray") is None:
        raise StartError(INSTALL)
    if wrong := next((each for each in given if "=" not in each), None):
        raise StartError(f"{wrong!r} has no value: arguments are name=value, as in deploy/ray/README.md")
    options = Options.model_validate(dict(each.partition("=")[::2] for each in given))
    _ = options.version
    data = options.settings.data
    assert data is not None, "shards follow a store"
    Store(data).close()  # Ray would start the replicas again and again.
    return options


def _usable_port(port: int) -> int:
    """Returns the port, or a free one if it is 0; raises StartError if it cannot be used."""
    if not 0 <= port <= MAX_PORT:
        raise StartError(f"--port is {port}; it is a number from 0 to {MAX_PORT}")
    try:
        with socket.create_server(("", port)) as listening:
            return int(listening.getsockname()[1])
    except OSError as error:
        raise StartError(f"port {port} cannot be used: {os.strerror(error.errno or 0).lower()}") from None


def _serve(options: Options, port: int) -> None:
    import ray  # noqa: PLC0415  Ray takes seconds to import.
    from ray import serve  # noqa: PLC0415
    from ray.serve.config import gRPCOptions  # noqa: PLC0415

    from deploy.ray.app import SERVICERS, index, ingress  # noqa: PLC0415
    from deploy.ray.ingress import NAME  # noqa: PLC0415

    try:
        ray.init(address="local", num_cpus=math.ceil(options.cpus) + 1, include_dashboard=False)
    except SystemExit:  # Ray's own handler of SIGTERM raises it.
        raise KeyboardInterrupt from None
    try:
        for number in (signal.SIGINT, signal.SIGTERM):  # Ray has set its own handlers.
            signal.signal(number, signal.default_int_handler)
        serve.start(
            http_options={"host": "127.0.0.1", "port": _usable_port(0)},
            grpc_options=gRPCOptions(port=port, grpc_servicer_functions=SERVICERS),
        )
        serve.run_many(
            [
                serve.RunTarget(index(options.of_index), name=options.index, route_prefix=None),
                serve.RunTarget(ingress(options.of_ingress), name=NAME),
            ]
        )
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        print(f"the address of Ray is {ray.get_runtime_context().gcs_address}")
        print(f"serving {options.shards} shards on 127.0.0.1:{port}", flush=True)
        stopped.wait()
        # Ray Serve waits for half a minute if its controller ends too early for an answer.
        ending = threading.Thread(target=_end, args=[serve.shutdown], daemon=True)
        ending.start()
        ending.join(STOP_SECONDS)
    finally:
        ray.shutdown()


def _end(shut_down: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):  # `ray.shutdown` ends what is left.
        shut_down()


if __name__ == "__main__":
    sys.exit(main())
