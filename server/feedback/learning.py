"""Learns from the feedback of a store: adds queries that users have confirmed to the examples of documents.

What is learnt is measured first. The confirmed queries are divided into folds; the queries of each fold are searched in
a catalogue that has learnt from the other folds alone, and in one that has learnt nothing new. Examples that were
learnt earlier are in both, except those of the fold.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

from server.catalogue.document import MAX_ELEMENTS, Document, Field
from server.catalogue.encoded import Versioned
from server.catalogue.feedback import FeedbackLog, Promotion
from server.catalogue.store import Store
from server.encoding.bundle import Bundle
from server.feedback.policy import Confirmed, Judged, Policy, chosen, judge, without_case_and_end_marks
from server.feedback.trial import Question, Trial, fold_of
from server.metrics.feedback import MODES
from server.ranking.vocabulary import CatalogueVocabulary
from server.readings.interpreter import Interpreter

FOLDS = 5

MAX_QUESTIONS = 2000
"""Confirmed queries that are measured at most."""

WORK = "learn"
"""The work that one process at a time does on a store; see `Store.alone`."""


class Lesson(NamedTuple):
    """The changes that the policy asks for: queries to add to documents, and earlier ones to take away."""

    added: list[Confirmed]
    withdrawn: list[Promotion]

    def of(self, documents: Iterable[Document]) -> Self:
        """Returns the part of the lesson for some documents, without queries that they have as examples by now."""
        known = {document.id: document.examples for document in documents}
        added = [each for each in self.added if each.query not in known.get(each.document_id, [each.query])]
        return self._replace(added=added, withdrawn=[each for each in self.withdrawn if each.document_id in known])

    def examples(self, documents: Iterable[Document]) -> dict[str, list[str]]:
        """Returns the examples of each document that changes, by id.

        A document that consists of examples keeps its last ones.
        """
        gone: defaultdict[str, set[str]] = defaultdict(set)
        new: defaultdict[str, list[str]] = defaultdict(list)
        for promotion in self.withdrawn:
            gone[promotion.document_id].add(promotion.example)
        for each in self.added:
            new[each.document_id].append(each.query)
        changed = {}
        for document in documents:
            kept = [text for text in document.examples if text not in gone[document.id]]
            examples = [*kept, *new[document.id]]
            if examples != document.examples and (examples or document.titles() or document.texts()):
                changed[document.id] = examples
        return changed


class Measured(NamedTuple):
    """R@1 of held-out confirmed queries by mode, before and after."""

    questions: int
    before: dict[str, float]
    after: dict[str, float]

    @classmethod
    def of(cls, questions: int, before: dict[str, int], after: dict[str, int]) -> Self:
        """Takes the numbers of right hits."""
        return cls(questions, *({mode: each[mode] / max(questions, 1) for mode in MODES} for each in (before, after)))

    @property
    def worse(self) -> list[str]:
        """The modes in which R@1 falls."""
        return [mode for mode in MODES if self.after[mode] < self.before[mode]]


class Learner:
    """Learns from the feedback of a store. All methods block. Close it when done."""

    def __init__(
        self,
        store: Store,
        bundle: Bundle,
        policy: Policy,
        *,
        folder: Path,
        weights: Mapping[Field, float] = MappingProxyType({}),
        threads: int | None = None,
    ) -> None:
        """Reads the feedback and indexes the documents; see `Trial`."""
        self._log = FeedbackLog(store)
        self._policy = policy
        self.trial = Trial(store, bundle, folder=folder, weights=weights, threads=threads)
        self._judged = self._usable(judge(self._log.evidence(), self._log.shown(), policy))
        ids = {each.document_id for each in self._judged.confirmed}
        self._promotions = self._log.promotions()
        ids |= {each.document_id for each in self._promotions}
        self.documents = {id: each.document for id, each in self.trial.stored(ids).items()}

    def close(self) -> None:
        """Ends the trial."""
        self.trial.close()

    def lesson(self) -> Lesson:
        """Returns what is to be learnt now."""
        return self._lesson(self._judged.confirmed)

    def measure(self) -> Measured:
        """Measures what is learnt, with cross-validation as this module describes."""
        confirmed = [each for each in self._judged.confirmed if each.document_id in self.documents]
        confirmed.sort(key=lambda each: fold_of(without_case_and_end_marks(each.query), 2**32))
        del confirmed[MAX_QUESTIONS:]
        before, after = dict.fromkeys(MODES, 0), dict.fromkeys(MODES, 0)
        for fold in range(FOLDS):
            held_out = [each for each in confirmed if _is_in(fold, each.query)]
            if not held_out:
                continue
            questions = [Question(each.query, each.document_id) for each in held_out]
            forgotten = [each for each in self._promotions if _is_in(fold, each.example)]
            known = [each for each in self._judged.confirmed if not _is_in(fold, each.query)]
            learnt = self._lesson(known)
            for lesson, right in (
                (Lesson([], forgotten), before),
                (learnt._replace(withdrawn=[*learnt.withdrawn, *forgotten]), after),
            ):
                self.trial.search_with(lesson.examples(self.documents.values()))
                for mode, count in self.trial.right(questions).items():
                    right[mode] += count
        return Measured.of(len(confirmed), before, after)

    def changed(self, lesson: Lesson) -> list[Versioned]:
        """Returns the documents that a lesson changes, with their vectors and the sequence of their present version."""
        return self.trial.changed(lesson.examples(self.documents.values()))

    def everything(self) -> Lesson:
        """Returns the lesson that takes all learnt examples away."""
        return Lesson([], self._promotions)

    def _usable(self, judged: Judged) -> Judged:
        """Leaves out what is no example: slips, which are read as another text, and what the model cannot encode."""
        interpreter = Interpreter(CatalogueVocabulary(self.trial.state))
        # As an example, a slip would be a word of the catalogue, and no longer be read.
        plain = [each for each in judged.confirmed if interpreter.interpret(each.query) is None]
        encodable = self.trial.encodable([each.query for each in plain])
        return judged._replace(confirmed=[each for each in plain if each.query in encodable])

    def _lesson(self, confirmed: Sequence[Confirmed]) -> Lesson:
        withdrawn = [
            each
            for each in self._promotions
            if (without_case_and_end_marks(each.example), each.document_id) in self._judged.doubted
        ]
        left: defaultdict[str, int] = defaultdict(int)
        known: dict[str, set[str]] = {}
        for id, document in self.documents.items():
            known[id] = {without_case_and_end_marks(text) for text in (*document.examples, *document.titles().values())}
            room = max(0, MAX_ELEMENTS - document.element_count())
            learnt = {each.example for each in self._promotions if each.document_id == id}
            left[id] = min(room, self._policy.max_examples - len(learnt.intersection(document.examples)))
        new = [
            each
            for each in confirmed
            if each.document_id in known and without_case_and_end_marks(each.query) not in known[each.document_id]
        ]
        added = []
        for each in chosen(new, self._policy):
            if left[each.document_id] > 0:
                left[each.document_id] -= 1
                added.append(each)
        return Lesson(added, withdrawn)


def _is_in(fold: int, query: str) -> bool:
    return fold_of(without_case_and_end_marks(query), FOLDS) == fold
