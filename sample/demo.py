"""Serves and searches the sample catalogue: `make demo`, or `make demo-check` to exit after the searches."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

import chaja
from chaja.v1 import Field, Hit, Mode, SearchRequest, SearchResponse, Timings
from sample.server_process import REPOSITORY, ServerEnded, running_server
from server.closed_pipe import until_closed_pipe


class Example(NamedTuple):
    """A search of the demo, and the document that answers it; None if no document does."""

    language_code: str
    query: str
    document_id: str | None


EXAMPLES = [
    Example("ko", "카드를 잃어버렸어요", "report-lost-card"),
    Example("ko", "친구들이랑 밥값 나눠 내기", "split-bill"),
    Example("ko", "보험금 청구하고 싶어", "hospital-bill-claim"),
    Example("ko", "비밀번호를 까먹었어", "change-app-passcode"),
    Example("ko", "마통 만들기", "overdraft-account"),
    Example("ko", "오늘 날씨 어때", None),
    Example("en", "someone stole my purse on the train", "report-lost-card"),
    Example("en", "am I spending too much on coffee", "spending-analysis"),
]

POLL_SECONDS = 0.1
STAGES = ("tokenize", "queue", "encode", "search", "fetch")


def main() -> int:
    """Starts a server, searches, and keeps serving until Ctrl-C; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sample.demo", description=__doc__, allow_abbrev=False)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", metavar="DIR")
    parser.add_argument("--listen", default="127.0.0.1:50051", metavar="HOST:PORT", help="address of the gRPC services")
    parser.add_argument("--metrics", default="127.0.0.1:9464", metavar="HOST:PORT", help="address of the metrics")
    parser.add_argument(
        "--check",
        action="store_true",
        help="exit after the searches, with code 1 if a first hit is wrong",
    )
    options = parser.parse_args()
    flags = ["--bundle", str(options.bundle), "--catalogue", str(REPOSITORY / "sample/catalogue.jsonl")]
    flags += ["--synonyms", str(REPOSITORY / "sample/synonyms.txt")]
    flags += ["--listen", options.listen, "--metrics", options.metrics]
    print("Starting a server. Encoding the sample takes up to a minute.", file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running_server(flags, echo=lambda line: print(line, file=sys.stderr, flush=True)) as server:
            right = _search(server.address)
            print(f"\ngRPC     {server.address}\nmetrics  {server.metrics_url}")
            if options.check:
                return 0 if right else 1
            print("Serving until Ctrl-C.", flush=True)
            # Not `wait()`: a signal that arrives as it enters the system call would not end it.
            while server.process.poll() is None:
                time.sleep(POLL_SECONDS)
            if server.process.returncode != 0:
                print(f"demo: the server ended: {server.lines[-1]}", file=sys.stderr)
                return 1
    except ServerEnded:  # The server has printed the reason.
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def _search(address: str) -> bool:
    """Prints the hits of every search; returns whether every answer is the expected one."""
    right = True
    with chaja.connect(address) as client:
        client.search.Search(SearchRequest(query="warm-up"))
        for example in EXAMPLES:
            response = client.search.Search(
                SearchRequest(query=example.query, limit=3, language_code=example.language_code, mode=Mode.MODE_HYBRID)
            )
            right &= _is_right(response, example)
            print(f"\n{example.query}    {_times(response.timings)}")
            if response.no_good_answer:
                print("  The catalogue seems to have no answer. The nearest documents:")
            for hit in response.hits:
                print(f"  {hit.dense_score:.3f}  {hit.title}  ({_reason(hit)})")
    return right


def _is_right(response: SearchResponse, example: Example) -> bool:
    if example.document_id is None:
        return response.no_good_answer
    return bool(response.hits) and response.hits[0].document_id == example.document_id


def _times(timings: Timings) -> str:
    parts = {stage: getattr(timings, stage).ToNanoseconds() / 1e6 for stage in STAGES}
    return f"[{sum(parts.values()):.1f} ms: " + ", ".join(f"{stage} {ms:.1f}" for stage, ms in parts.items()) + "]"


def _reason(hit: Hit) -> str:
    if hit.match.field == Field.FIELD_EXAMPLE:
        return f"matched the example “{hit.match.example}”"
    return f"matched the {'title' if hit.match.field == Field.FIELD_TITLE else 'text'} in {hit.match.language_code}"


if __name__ == "__main__":
    sys.exit(until_closed_pipe(main))
