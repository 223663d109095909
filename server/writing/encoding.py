"""Encodes the documents of a write, as bulk work of the serving engine. Only new or changed passages are encoded."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.catalogue.document import Document, content_of
from server.catalogue.encoded import Vectors, Versioned
from server.catalogue.store import Store
from server.encoding.bundle import Bundle
from server.encoding.passages import Passages, Text, passages_of, unfit_part
from server.engine import Engine
from server.errors import ChajaError, DeadlinePassed, NotReady, Overloaded, UnfitText
from server.priority import CALL_NICENESS, give_way

PORTION_TEXTS = 16
PORTION_CHARACTERS = 2000
"""Maximum texts and characters that are passed to the engine at a time."""

PORTIONS = 3
"""Portions of a call in the engine at a time: enough to keep the workers busy; more would delay other writes."""

LOOP_TEXTS = 1000
"""Maximum vectors that the event loop puts together itself, in about a millisecond."""


class Prepared(NamedTuple):
    """A document cut into passages. `known` has the vectors of passages that need no encoding."""

    passages: Passages
    known: dict[Text, NDArray[np.float32]]

    @property
    def unknown(self) -> Iterator[Text]:
        """The texts to encode."""
        return (text for text in self.passages.texts if text not in self.known)

    def vectors(self, encoded: dict[Text, NDArray[np.float32] | ChajaError]) -> Vectors | ChajaError:
        """Returns the vectors of the document, or the error of one of its texts."""
        rows: list[NDArray[np.float32]] = []
        for position, text in enumerate(self.passages.texts):
            row = self.known[text] if text in self.known else encoded[text]
            if isinstance(row, UnfitText):
                passages, reason = self.passages, f"{text[0][:40]!r} {row}"
                return unfit_part(passages.parts, int(passages.spans[position, 0]), reason)
            if isinstance(row, ChajaError):
                return row
            rows.append(row)
        matrix = np.empty((len(rows), *rows[0].shape), dtype=np.float32)
        for position, row in enumerate(rows):  # np.stack would hold the GIL for 50 ms with 30,000 rows.
            matrix[position] = row
        return Vectors(self.passages.spans, matrix)


class DocumentEncoder:
    """Encodes documents. Used on the event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._preparing = ThreadPoolExecutor(1, "passages", initializer=give_way, initargs=(CALL_NICENESS,))

    async def encode(
        self, engine: Engine, documents: Sequence[Document], *, deadline: float, patient: bool
    ) -> list[Vectors | ChajaError | None]:
        """Returns for each document its vectors, None if it is stored unchanged, or its error.

        The work ends at `deadline`, a value of `time.monotonic()`. If `patient`, it is admitted however long the queue
        is. Raises ChajaError if the engine rejects the work.
        """
        loop = asyncio.get_running_loop()
        prepared, texts = await loop.run_in_executor(self._preparing, self._prepare, engine.bundle, documents)
        vectors = await _encode_texts(engine, texts, deadline=deadline, patient=patient)
        if sum(len(each.passages.texts) for each in prepared if isinstance(each, Prepared)) <= LOOP_TEXTS:
            return _assemble(prepared, vectors)
        return await loop.run_in_executor(self._preparing, _assemble, prepared, vectors)

    def close(self) -> None:
        """Ends the thread."""
        self._preparing.shutdown()

    def _prepare(
        self, bundle: Bundle, documents: Sequence[Document]
    ) -> tuple[list[Prepared | ChajaError | None], list[Text]]:
        """Returns the documents cut into passages, and the distinct texts to encode."""
        times = Counter(document.id for document in documents)
        stored = self._store.sequences_of(times)
        prepared: list[Prepared | ChajaError | None] = []
        for document in documents:
            id = document.id
            # One at a time: the stored documents may be far larger than those that replace them.
            before = self._store.versioned([id], bundle.manifest.revision).get(id) if id in stored else None
            # If an id occurs twice, the stored document is not the one that the second write replaces.
            once = times[id] == 1
            if once and before is not None and content_of(before.document) == content_of(document):
                prepared.append(None)
                continue
            try:
                passages = passages_of(document, bundle)
            except ChajaError as error:
                prepared.append(error)
            else:
                prepared.append(Prepared(passages, self._known(bundle, before)))
        unknown = {text: None for each in prepared if isinstance(each, Prepared) for text in each.unknown}
        return prepared, list(unknown)

    def _known(self, bundle: Bundle, before: Versioned | None) -> dict[Text, NDArray[np.float32]]:
        """Returns the vectors of the stored version's passages."""
        if before is None or before.vectors is None:
            return {}
        passages = passages_of(before.document, bundle)
        if not np.array_equal(passages.spans, before.vectors.spans):
            return {}  # An earlier version of the server cut it otherwise.
        return dict(zip(passages.texts, before.vectors.matrix, strict=True))


def _assemble(
    prepared: Sequence[Prepared | ChajaError | None], vectors: dict[Text, NDArray[np.float32] | ChajaError]
) -> list[Vectors | ChajaError | None]:
    return [each.vectors(vectors) if isinstance(each, Prepared) else each for each in prepared]


async def _encode_texts(
    engine: Engine, texts: Sequence[Text], *, deadline: float, patient: bool
) -> dict[Text, NDArray[np.float32] | ChajaError]:
    """Encodes texts in portions; returns the vector or the error of each."""
    found: dict[Text, NDArray[np.float32] | ChajaError] = {}
    portions = _portions(texts)

    async def encode(portion: Sequence[Text], *, patient: bool) -> None:
        jobs = engine.passage_jobs(portion, deadline=deadline)
        for text, job, outcome in zip(portion, jobs, await engine.run(jobs, admitted=patient), strict=True):
            if isinstance(outcome, (DeadlinePassed, NotReady, Overloaded)):  # Not an error of the text.
                raise outcome
            found[text] = outcome if outcome is not None else job.vector  # type: ignore[assignment]

    async def encode_rest() -> None:
        for portion in portions:
            await encode(portion, patient=True)

    first = next(portions, None)
    if first is None:
        return found
    # The first portion is admitted like any call. Then the others are admitted as well, a few at a time.
    others = [asyncio.create_task(encode_rest()) for _ in range(PORTIONS - 1)]
    try:
        await encode(first, patient=patient)
        await encode_rest()
        await asyncio.gather(*others)
    finally:
        for each in others:
            each.cancel()
    return found


def _portions(texts: Sequence[Text]) -> Iterator[list[Text]]:
    portion: list[Text] = []
    characters = 0
    for text in texts:
        if portion and (len(portion) == PORTION_TEXTS or characters + len(text[0]) > PORTION_CHARACTERS):
            yield portion
            portion, characters = [], 0
        portion.append(text)
        characters += len(text[0])
    if portion:
        yield portion
