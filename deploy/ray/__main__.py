"""Runs the application on this machine, until SIGTERM or Ctrl-C: `python -m deploy.ray shards=2 bundle=… data=…`."""

import argparse
import math
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

from pydantic import ValidationError

from server.errors import StartError

if TYPE_CHECKING:
    from deploy.ray.app import Options

PROGRAM = "python -m deploy.ray"


def main() -> int:
    """Serves; returns the exit code."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Serve an index in shards with Ray on this machine.")
    parser.add_argument("--port", type=int, default=9000, help="port of the gRPC ingress; 0 chooses one (default 9000)")
    parser.add_argument("options", nargs="*", metavar="name=value", help="see deploy/ray/README.md")
    given = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from deploy.ray.app import Options  # noqa: PLC0415  Ray takes seconds to import.

    try:
        options = Options.model_validate(dict(each.partition("=")[::2] for each in given.options))
        _ = options.version
    except ValidationError as error:
        first = error.errors()[0]
        print(f"{PROGRAM}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}", file=sys.stderr)
        return 2
    except StartError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    try:
        _serve(options, given.port or _free_port())
    except KeyboardInterrupt:
        return 130
    return 0


def _serve(options: "Options", port: int) -> None:
    import ray  # noqa: PLC0415
    from ray import serve  # noqa: PLC0415
    from ray.serve.config import gRPCOptions  # noqa: PLC0415

    from deploy.ray.app import NAME, SERVICERS, app  # noqa: PLC0415

    ray.init(address="local", num_cpus=math.ceil(options.cpus) + 1, include_dashboard=False)
    try:
        serve.start(
            http_options={"host": "127.0.0.1", "port": _free_port()},
            grpc_options=gRPCOptions(port=port, grpc_servicer_functions=SERVICERS),
        )
        serve.run(app(options), name=NAME)
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):  # Ray has set its own handlers.
            signal.signal(number, lambda *_: stopped.set())
        print(f"serving {options.shards} shards on 127.0.0.1:{port}", flush=True)
        stopped.wait()
        serve.shutdown()  # type: ignore[no-untyped-call]
    finally:
        ray.shutdown()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
