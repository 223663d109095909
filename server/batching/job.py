"""A job: one text on its way through the stages."""

import asyncio
import math
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from server.encoding.kind import TextKind
from server.encoding.tokenizer import Tokens
from server.ranking.options import Mode, SearchOptions
from server.ranking.search import Found
from server.stages import Stopwatch

SEARCH_TOKENS = 3
"""What a search of a known vector is counted as: it takes as long as encoding some two tokens, and its answer, too."""


@dataclass(slots=True, eq=False, kw_only=True)
class Job:
    """What a caller wants of one text, and what the stages have made of it so far.

    Without `options` the text is only encoded. A text that is too long is cut if `truncate` is set, else refused. No
    stage touches a job after its `deadline`, which like `arrived` is a `time.monotonic`. `done` is resolved on the
    event loop when the last stage has ended, and cancelled when the caller gives up.
    """

    text: str
    kind: TextKind
    options: SearchOptions | None
    truncate: bool
    done: asyncio.Future[None]
    bulk: bool = False
    cached: bool = True
    deadline: float = math.inf
    arrived: float = field(default_factory=time.monotonic)
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    batch_texts: int = 0
    tokens: Tokens | None = None
    vector: NDArray[np.float32] | None = None
    found: Found | None = None

    def wanted(self, now: float) -> bool:
        """Whether somebody still waits for the answer, at a `time.monotonic`."""
        return now < self.deadline and not self.done.done()

    @property
    def encoded(self) -> bool:
        """Whether the encoder has nothing to do for it: its vector is known, or words are enough."""
        return self.vector is not None or (self.options is not None and self.options.mode is Mode.LEXICAL)

    @property
    def token_count(self) -> int:
        """Number of tokens that the encoder has yet to see; what a search is worth when the vector is known."""
        return SEARCH_TOKENS if self.encoded or not self.tokens else len(self.tokens.ids)
