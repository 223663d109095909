"""Checks liveness a hundred times a second: `python -m tests.integration.responsiveness.health_watch ADDRESS`.

It prints the start (`time.monotonic()`) and the seconds of every check. It runs in a separate process, because a test
that builds large messages would delay the checks itself.
"""

import sys
import time
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

INTERVAL_SECONDS = 0.01


def main(address: str) -> None:
    request = health_pb2.HealthCheckRequest(service="liveness")
    with grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        while True:
            began = time.monotonic()
            stub.Check(request, timeout=30, wait_for_ready=True)
            sys.stdout.write(f"{began} {time.monotonic() - began}\n")
            sys.stdout.flush()
            time.sleep(INTERVAL_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1])
