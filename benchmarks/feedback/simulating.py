"""Feedback as users would send it, made from labelled questions."""

import random
from collections.abc import Iterator, Sequence

from export.labelled_queries import LabelledQuery
from server.catalogue.document import Document
from server.catalogue.feedback import Event, FeedbackKind

USERS = 3
"""Users who ask each question."""

WRONG_SHARE = 0.2
"""Share of the clicks that are on a random document."""

QUESTIONS_PER_USER = 50
"""Questions of one user, fewer than the policy of learning counts."""


def clicks(asked: Sequence[LabelledQuery], documents: Sequence[Document], *, seed: int) -> Iterator[Event]:
    """Yields one click of each of `USERS` users for every question, most of them on a document that answers it."""
    chance = random.Random(seed)
    for number, each in enumerate(asked):
        for user in range(USERS):
            right = each.relevant[user % len(each.relevant)]
            chosen = documents[chance.randrange(len(documents))].id if chance.random() < WRONG_SHARE else right
            key = f"{number // QUESTIONS_PER_USER}-{user}"
            yield Event(f"{number}-{user}", each.query, chosen, FeedbackKind.CLICKED, key)
