"""The messages of streams: how many, how soon the first, and how far apart."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from loadtest.analysis.latency import Latencies
from loadtest.results.file import Records


@dataclass
class StreamSummary:
    """The messages of successful calls whose answer was a stream.

    Attributes:
        calls: Number of the calls.
        silent: Successful streams without a message, in addition.
        sent, received: Their messages.
        first: From the send of a call to the first message of its answer.
        between: Mean time between two messages of a call.
        longest: Longest time between two messages of a call.
    """

    calls: int = 0
    silent: int = 0
    sent: int = 0
    received: int = 0
    first: Latencies = field(default_factory=Latencies)
    between: Latencies = field(default_factory=Latencies)
    longest: Latencies = field(default_factory=Latencies)

    def merge(self, other: StreamSummary) -> None:
        """Adds the counts of another summary."""
        self.calls += other.calls
        self.silent += other.silent
        self.sent += other.sent
        self.received += other.received
        self.first.merge(other.first)
        self.between.merge(other.between)
        self.longest.merge(other.longest)

    def add(self, successes: Records) -> None:
        """Counts records of successes."""
        streams = successes[~np.isnan(successes["first_message_seconds"])]
        self.calls += len(streams)
        self.silent += int(np.count_nonzero(successes["response_messages"] == 0))  # Other calls have one.
        self.sent += int(streams["request_messages"].sum())
        self.received += int(streams["response_messages"].sum())
        self.first.add_seconds(streams["first_message_seconds"])
        self.between.add_seconds(streams["gap_seconds"])
        self.longest.add_seconds(streams["longest_gap_seconds"])
