"""The command line: `python -m loadtest --target HOST:PORT --queries FILE`.

Exit codes: 0 when every search came back with the same hits, 1 when one did not or
failed, 2 for a wrong flag or file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

import grpc

from loadtest.consistency import HEADER, check_consistency


def main() -> int:
    """Runs the check; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest",
        description="Check that concurrent searches give the same hits as one at a time.",
        allow_abbrev=False,
        epilog="example: python -m loadtest --target 127.0.0.1:50051 --queries sample/queries.jsonl",
    )
    parser.add_argument("--target", required=True, metavar="HOST:PORT", help="the server")
    parser.add_argument("--queries", required=True, type=Path, metavar="FILE", help="JSONL with a `query` in each line")
    parser.add_argument("--concurrency", type=int, default=1000, metavar="N", help="searches at once (default: 1000)")
    parser.add_argument("--limit", type=int, default=10, metavar="N", help="hits of each search (default: 10)")
    options = parser.parse_args()
    if options.concurrency < 1:
        parser.error("--concurrency must be at least 1")
    try:
        queries = _read_queries(options.queries)
    except ValueError as error:
        print(f"loadtest: error: {error}", file=sys.stderr)
        return 2
    try:
        outcome = asyncio.run(
            check_consistency(options.target, queries, concurrency=options.concurrency, limit=options.limit)
        )
    except KeyboardInterrupt:
        return 130
    except grpc.aio.AioRpcError as error:
        print(f"loadtest: error: a search failed: {error.code().name}: {error.details()}", file=sys.stderr)
        return 1
    except ValueError as error:  # The target.
        print(f"loadtest: error: --target: {error}", file=sys.stderr)
        return 2
    print("Latencies include the wait for the searches before; all at once, most of it is that.")
    print(HEADER, outcome.alone.row(), outcome.together.row(), sep="\n")
    print(f"{len(outcome.different)} of {outcome.together.searches} searches differ from the same search alone")
    for query in outcome.different[:10]:
        print(f"  {query}")
    return 1 if outcome.different else 0


def _read_queries(path: Path) -> list[str]:
    """Returns the queries of a JSONL file; raises ValueError if there are none or a line has none."""
    queries = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    try:
                        queries.append(str(json.loads(line)["query"]))
                    except (ValueError, KeyError, TypeError):
                        raise ValueError(f"{path}:{number}: expected an object with a query") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if not queries:
        raise ValueError(f"{path} has no queries")
    return queries


if __name__ == "__main__":
    sys.exit(main())
