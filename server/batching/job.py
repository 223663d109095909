"""A job: one text on its way through the stages."""

import asyncio
import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.call_context import CallContext
from server.encoding.kind import TextKind
from server.encoding.tokenizer import Tokens
from server.ranking.found import Found
from server.ranking.options import Mode, SearchOptions
from server.stages import Stage, Stopwatch


@dataclass(slots=True, eq=False, kw_only=True)
class Job:
    """One text, the caller's options, and the results of the stages so far.

    Without `options` the text is only encoded. `words` is the text whose words are searched, and `typed` is what the
    user typed; None stands for `text`. `interpretation` is the kind of the reading that replaced what was typed, or
    empty. If the text is too long, it is cut when `truncate` is set and rejected otherwise. No stage starts work on a
    job after its `deadline`; `deadline` and `arrived` are values of `time.monotonic()`. `search_tokens` is the
    predicted time of its search, as tokens that could be encoded meanwhile. `done` is resolved on the event loop after
    the last stage, or cancelled if the caller gives up. `call` is the call that it belongs to, if any; `batch_span` is
    the context of the span of its batch, if the call is traced.
    """

    text: str
    kind: TextKind
    options: SearchOptions | None = None
    words: str | None = None
    typed: str | None = None
    interpretation: str = ""
    truncate: bool = False
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    bulk: bool = False
    cached: bool = True
    search_tokens: int = 0
    deadline: float = math.inf
    arrived: float = field(default_factory=time.monotonic)
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    call: CallContext | None = field(default_factory=CallContext.current)
    batch_texts: int = 0
    batch_span: Any = None
    tokens: Tokens | None = None
    vector: NDArray[np.float32] | None = None
    found: Found | None = None

    def wanted(self, now: float) -> bool:
        """Returns whether the caller still waits for the answer at `now`, a value of `time.monotonic()`."""
        return now < self.deadline and not self.done.done()

    @property
    def asked(self) -> str:
        """The text that the user typed, for logs."""
        return self.text if self.typed is None else self.typed

    @property
    def encoded(self) -> bool:
        """Whether the encoder has no work left: the vector is known, or the search is lexical."""
        return self.vector is not None or (self.options is not None and self.options.mode is Mode.LEXICAL)

    @property
    def stage(self) -> Stage:
        """The stage after the last one that has ended."""
        match [None, *self.stopwatch.seconds][-1]:  # A copy: a worker may add a stage meanwhile.
            case None:
                return "tokenize"
            case "tokenize":
                return "queue"
            case "queue" if not self.encoded:
                return "encode"
            case "queue" | "encode":
                return "search"
            case _:
                return "fetch"

    @property
    def encoded_tokens(self) -> int:
        """Number of tokens left to encode."""
        return 0 if self.encoded or not self.tokens else len(self.tokens.ids)

    @property
    def token_count(self) -> int:
        """The work left for a worker, in tokens: those to encode, and those that stand for the search. At least 1."""
        return max(1, self.encoded_tokens + self.search_tokens)
