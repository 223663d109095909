"""SuggestService: typed texts in, completions out."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from chaja.v1 import SuggestionFit, SuggestionSource, SuggestRequest, SuggestResponse, SuggestServiceServicer
from server.engine import EngineSlot
from server.priority import CALL_NICENESS, give_way
from server.ranking.served import Served
from server.rpc.background import Background, request_bytes
from server.rpc.highlights import text_ranges
from server.rpc.limits import Limits
from server.rpc.min_sequence import Reach
from server.rpc.room import WARNING_BYTES, Room
from server.rpc.suggest_answers import SuggestAnswers
from server.rpc.suggest_requests import SuggestQuery, read_suggest_request
from server.suggest.completion import Kind, Source

SOURCE_OF = {
    Source.TITLE: SuggestionSource.SUGGESTION_SOURCE_TITLE,
    Source.EXAMPLE: SuggestionSource.SUGGESTION_SOURCE_EXAMPLE,
    Source.SYNONYM: SuggestionSource.SUGGESTION_SOURCE_SYNONYM,
}
FIT_OF = {
    Kind.START: SuggestionFit.SUGGESTION_FIT_START,
    Kind.WORD: SuggestionFit.SUGGESTION_FIT_WORD,
    Kind.INITIALS: SuggestionFit.SUGGESTION_FIT_INITIALS,
    Kind.KEYBOARD: SuggestionFit.SUGGESTION_FIT_KEYBOARD,
    Kind.TYPO: SuggestionFit.SUGGESTION_FIT_TYPO,
}

FEWER_SUGGESTIONS = "ask for fewer suggestions (limit)"
SUGGESTION_BYTES = 8
"""Most bytes of a suggestion's length in the answer."""

KEPT_REQUEST_BYTES = 1024
"""Most bytes of a request whose answer is kept. Larger ones have large filters."""

SHORT_COMPLETIONS, SHORT_FILTERED, SHORT_LIMIT = 200_000, 20_000, 100
"""Completions of the index, without a filter and with one, and suggestions asked for, up to which a call takes a few
milliseconds at most: the event loop answers it. A thread would take longer for most."""


class SuggestServicer(SuggestServiceServicer):
    """Implements `chaja.v1.SuggestService`; the proto file states its contract."""

    def __init__(self, slot: EngineSlot, limits: Limits, background: Background, *, reach: Reach) -> None:
        self._slot = slot
        self._limits = limits
        self._background = background
        self._reach = reach
        self._answers = SuggestAnswers()
        # Not the background thread: a person waits for suggestions.
        self._thread = ThreadPoolExecutor(1, "suggest", initializer=give_way, initargs=(CALL_NICENESS,))

    async def Suggest(self, request: SuggestRequest, context: Any) -> Any:
        """Completes a typed text. The answer is serialized."""
        await self._reach(request.min_sequence, context)
        state = self._slot.engine.index.state
        key = request.SerializeToString() if request_bytes.get() <= KEPT_REQUEST_BYTES else None
        if key is not None and (kept := self._answers.get(key, state.completions)) is not None:
            return kept
        query = await self._background.run_if_large(partial(read_suggest_request, request, self._limits))
        room = Room(self._limits.max_response_bytes, FEWER_SUGGESTIONS)
        build = partial(_answer, state, query, room)
        most = SHORT_COMPLETIONS if query.filter is None else SHORT_FILTERED
        if state.is_remote:
            answer = await self._background.run_if_large(build, remote=True)
        elif state.completion_count <= most and query.limit <= SHORT_LIMIT:
            answer = build()
        else:
            answer = await asyncio.get_running_loop().run_in_executor(self._thread, build)
        if key is not None:
            self._answers.keep(key, state.completions, answer)
        return answer


def _answer(state: Served, query: SuggestQuery, room: Room) -> bytes:
    """Returns the serialized answer to a request; raises ResponseTooLarge if it does not fit into the room."""
    corpus = state.corpus(query.filter)
    found = corpus.suggest(query.text, limit=query.limit, language=query.language, ranges=bool(query.unit))
    warnings = [] if query.filter is None else state.warnings(query.filter)
    room.take(sum(len(warning.encode()) + WARNING_BYTES for warning in warnings))
    response = SuggestResponse(sequence=state.sequence, warnings=warnings)
    for each, document_id in found:
        suggestion = response.suggestions.add(
            text=each.text,
            document_id=document_id,
            source=SOURCE_OF[each.source],
            language_code=each.language,
            fit=FIT_OF[each.kind],
            typing_errors=each.errors,
            highlights=text_ranges(each.text, np.array(each.ranges), query.unit) if query.unit else None,
        )
        room.take(suggestion.ByteSize() + SUGGESTION_BYTES)
    return response.SerializeToString()
