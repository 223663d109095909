"""A job: one text on its way through the stages."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from server.encoding.tokenizer import TextKind, Tokens
from server.index.exact import Match
from server.stages import Stopwatch


@dataclass(slots=True, eq=False, kw_only=True)
class Job:
    """What a caller wants of one text, and what the stages have made of it so far.

    `limit` is the number of documents to find, None to encode only. `truncate` says
    whether a text that is too long is cut or refused. `done` is resolved on the event
    loop when the last stage has ended; when the caller gives up it is cancelled, and
    no further stage touches the job.
    """

    text: str
    kind: TextKind
    limit: int | None
    truncate: bool
    done: asyncio.Future[None]
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    batch_texts: int = 0
    tokens: Tokens | None = None
    vector: NDArray[np.float32] | None = None
    matches: list[Match] = field(default_factory=list)

    @property
    def token_count(self) -> int:
        """Number of tokens that the encoder will see; 0 before the text is tokenized."""
        return len(self.tokens.ids) if self.tokens else 0
