"""Shows the whole path on the sample catalogue: `make demo`, or `make demo-check` for a run that ends by itself."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import chaja
from chaja.v1 import Field, Hit, SearchRequest, Timings
from sample.server_process import REPOSITORY, ServerEnded, running_server

SEARCHES = [
    ("en", "someone stole my purse on the train"),
    ("en", "split the dinner with my friends"),
    ("en", "am I spending too much on coffee"),
    ("ko", "해외송금 수수료"),
    ("ko", "연말정산 미리보기"),
    ("ko", "ETF 사고 싶어"),
]

STAGES = ("tokenize", "queue", "encode", "search", "fetch")


def main() -> int:
    """Starts a server, searches, and keeps serving until Ctrl-C; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sample.demo", description=__doc__, allow_abbrev=False)
    parser.add_argument("--bundle", type=Path, default=REPOSITORY / "build/bundle", metavar="DIR")
    parser.add_argument("--listen", default="127.0.0.1:50051", metavar="HOST:PORT", help="address of the gRPC services")
    parser.add_argument("--metrics", default="127.0.0.1:9464", metavar="HOST:PORT", help="address of the metrics")
    parser.add_argument("--check", action="store_true", help="exit after the searches, with 1 if one found nothing")
    options = parser.parse_args()
    flags = ["--bundle", str(options.bundle), "--catalogue", str(REPOSITORY / "sample/catalogue.jsonl")]
    flags += ["--listen", options.listen, "--metrics", options.metrics]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running_server(flags, echo=lambda line: print(line, file=sys.stderr, flush=True)) as server:
            complete = _search(server.address)
            print("\nThe default model learnt English; for Korean, bring a multilingual one (see the README).")
            print(f"gRPC     {server.address}\nmetrics  {server.metrics_url}")
            if options.check:
                return 0 if complete else 1
            print("Serving until Ctrl-C.", flush=True)
            if server.process.wait() != 0:
                print(f"demo: the server ended: {server.lines[-1]}", file=sys.stderr)
                return 1
    except ServerEnded:  # It has said why.
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def _search(address: str) -> bool:
    """Prints the hits of every search; says whether all of them have some."""
    complete = True
    with chaja.connect(address) as client:
        client.search.Search(SearchRequest(query="warm-up"))
        for language_code, query in SEARCHES:
            response = client.search.Search(SearchRequest(query=query, limit=3, language_code=language_code))
            complete &= len(response.hits) == 3
            print(f"\n{query}    {_times(response.timings)}")
            for hit in response.hits:
                print(f"  {hit.score:.3f}  {hit.title}  ({_reason(hit)})")
    return complete


def _times(timings: Timings) -> str:
    parts = {stage: getattr(timings, stage).ToNanoseconds() / 1e6 for stage in STAGES}
    return f"[{sum(parts.values()):.1f} ms: " + ", ".join(f"{stage} {ms:.1f}" for stage, ms in parts.items()) + "]"


def _reason(hit: Hit) -> str:
    if hit.match.field == Field.FIELD_EXAMPLE:
        return f"by its example “{hit.match.example}”"
    return f"by its {'title' if hit.match.field == Field.FIELD_TITLE else 'text'} in {hit.match.language_code}"


if __name__ == "__main__":
    sys.exit(main())
