"""The cost of understanding a query: readings, misspelled words, synonyms and rules of merchandising."""

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.serving.figure import Figure
from benchmarks.serving.peak import Peaks
from benchmarks.serving.setting import Setting
from sample.server_process import REPOSITORY

SYNONYMS = REPOSITORY / "sample/synonyms.txt"

MOST_MS = 0.05

SHORT_SECONDS = 1
"""Length of a stretch. The shorter, the more alike is what else the machine does during both of a pair."""

PAIRS = 5
"""Pairs of stretches in each repeat."""

MODES = {"dense": "MODE_DENSE", "hybrid": "MODE_HYBRID"}


def measure_understanding(setting: Setting, peaks: Peaks) -> Iterator[Figure]:
    """Yields the time of one search at a time whose vector is cached, and what it takes longer than one as typed.

    The queries are written correctly, so all of that time is lost on them. Of each repeat the least times count: other
    processes can only add to them.
    """
    del peaks
    short = replace(setting, seconds=SHORT_SECONDS)
    with setting.server("--synonyms", str(SYNONYMS)) as server:
        for name, mode in MODES.items():
            understood, added = [], []
            for _ in range(setting.repeats):
                pairs = [
                    [
                        short.closed(server, in_flight=1, mode=mode, **fields).latency_ms(50)
                        for fields in ({}, {"interpret": False, "ignore_rules": True})
                    ]
                    for _ in range(PAIRS)
                ]
                with_readings, as_typed = map(min, zip(*pairs, strict=True))
                understood.append(with_readings)
                added.append(with_readings - as_typed)
            yield Figure(f"{name}, one search at a time, p50", understood, "{:.3f} ms")
            yield Figure(f"{name}, p50 beyond that of a search as typed", added, "{:.3f} ms", at_most=MOST_MS)
