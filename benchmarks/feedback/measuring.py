"""Lets a store learn from simulated feedback, and measures other questions before and after."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.feedback.simulating import clicks
from export.quality.corpus import Corpus
from export.quality.served import encode_passages
from server.catalogue.feedback import FeedbackLog
from server.catalogue.store import Store
from server.encoding.bundle import Bundle
from server.feedback.learning import Learner, Measured
from server.feedback.policy import Policy
from server.feedback.trial import Question
from server.metrics.feedback import MODES

MOST_LOSS = 0.005
"""R@1 that reported questions may lose by chance although that of held-out ones does not fall."""

BATCH_EVENTS = 10_000
"""Events that are stored at a time."""


class Result(NamedTuple):
    """The examples learnt from the feedback of some questions, and R@1 by mode.

    Attributes:
        questions: Number of questions with feedback.
        learnt: Number of examples that the policy adds.
        wrong: Number of them that are labelled for other documents.
        held_out: R@1 of confirmed queries, as `learn` measures it before it changes anything.
        before: R@1 of the reported questions without feedback.
        after: The same with all examples that the policy adds, even if `learn` would refuse them.
    """

    questions: int
    learnt: int
    wrong: int
    held_out: Measured
    before: dict[str, float]
    after: dict[str, float]

    @property
    def missed(self) -> list[str]:
        """The modes in which R@1 falls although `learn` accepts the examples, one sentence each."""
        return [
            f"{mode} R@1 falls from {self.before[mode]:.3f} to {self.after[mode]:.3f}"
            for mode in MODES
            if not self.held_out.worse and self.after[mode] < self.before[mode] - MOST_LOSS
        ]


def measure(
    bundle: Bundle, reported: Corpus, train: Corpus, *, counts: Sequence[int], seed: int, folder: Path
) -> Iterator[Result]:
    """Yields the result of the feedback for the first questions of `train`, for each count of them.

    The reported questions are those with one answer. `folder` is for temporary files.
    """
    known = {each.query for each in reported.queries}
    asked = [each for each in train.queries if each.query not in known]
    answers = {each.query: each.relevant for each in asked}
    vectors = encode_passages(bundle, reported.documents)
    questions = [Question(each.query, each.relevant[0]) for each in reported.queries if len(each.relevant) == 1]
    for count in counts:
        data = folder / str(count)
        data.mkdir()
        with contextlib.closing(Store(data, durable=False)) as store:
            with store.write() as transaction:
                for document, own in zip(reported.documents, vectors, strict=True):
                    transaction.put(document, own, revision=bundle.manifest.revision)
            log = FeedbackLog(store)
            events = list(clicks(asked[:count], reported.documents, seed=seed))
            for start in range(0, len(events), BATCH_EVENTS):
                log.record([events[start : start + BATCH_EVENTS]])
            with contextlib.closing(Learner(store, bundle, Policy(), folder=data)) as learner:
                lesson = learner.lesson()
                held_out = learner.measure()
                learner.trial.search_with({})
                before = learner.trial.right(questions)
                learner.trial.search_with(lesson.examples(learner.documents.values()))
                after = learner.trial.right(questions)
        yield Result(
            questions=min(count, len(asked)),
            learnt=len(lesson.added),
            wrong=sum(each.document_id not in answers.get(each.query, ()) for each in lesson.added),
            held_out=held_out,
            before={mode: before[mode] / len(questions) for mode in MODES},
            after={mode: after[mode] / len(questions) for mode in MODES},
        )
