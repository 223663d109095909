"""The policy of learning: which queries have users confirmed for which document?

Each user has one vote for a query. It is for the documents on which the user converted, or else for those that the user
clicked, without those that the user rejected; several of them share it. A document is confirmed for a query if

- at least `min_users` users voted for it, and more than rejected it;
- it has at least `min_agreement` of all votes for the query, so that a query that means several things teaches nothing;
- at least `min_share_of_shown` of the users to whom it was shown for the query voted for it, if that is known.

The votes of one user count for at most `max_user_queries` queries, those that most others have confirmed as well. The
queries of a document are ordered by votes, then by rank: what users had to look for further down teaches more.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import NamedTuple

from server.catalogue.feedback import Evidence

ENDING = " \t?!.,~…？！。，"
"""Characters at the end of a query that make no other query of it."""


class Policy(NamedTuple):
    """The bounds of what is learnt.

    Attributes:
        min_users: Least users who voted for a document and a query.
        min_agreement: Least share of the votes for the query.
        min_share_of_shown: Least share of the users to whom the document was shown.
        max_examples: Most queries that one document learns.
        max_user_queries: Most queries for which the votes of one user count.
        max_characters: Most characters in a query that is learnt.
    """

    min_users: int = 2
    min_agreement: float = 0.6
    min_share_of_shown: float = 0.1
    max_examples: int = 20
    max_user_queries: int = 100
    max_characters: int = 200


class Confirmed(NamedTuple):
    """A query that users have confirmed for a document, in the form that most of them typed.

    `users` is the number of users who voted for it, `agreement` its share of all votes for the query, `rank` the mean
    place of the document in the lists that they saw, 0 if unknown.
    """

    query: str
    document_id: str
    users: int
    agreement: float
    rank: float


class Judged(NamedTuple):
    """The result of the policy.

    Attributes:
        confirmed: The confirmed queries, best first within a document.
        doubted: The queries, by `without_case_and_end_marks`, and the documents whose learnt examples the evidence
            speaks against: users have confirmed the query for others, or rejected the document.
    """

    confirmed: list[Confirmed]
    doubted: set[tuple[str, str]]


class _Votes:
    """The votes for one document and query."""

    def __init__(self) -> None:
        self.shares: dict[bytes, float] = {}
        self.ranks: list[float] = []
        self.rejecting: set[bytes] = set()


def without_case_and_end_marks(query: str) -> str:
    """Returns a form of a query that is the same for all ways to write it: case, width, spaces, marks at the end."""
    folded = " ".join(unicodedata.normalize("NFKC", query).casefold().split())
    return folded.rstrip(ENDING) or folded


def judge(evidence: Iterable[Evidence], shown: Mapping[tuple[str, str], int], policy: Policy) -> Judged:
    """Applies the policy to all evidence. `shown` has the number of users by query and document."""
    by_query: defaultdict[str, list[Evidence]] = defaultdict(list)
    for each in evidence:
        by_query[without_case_and_end_marks(each.query)].append(each)
    shown_users: Counter[tuple[str, str]] = Counter()
    for (query, document_id), users in shown.items():
        shown_users[without_case_and_end_marks(query), document_id] += users
    votes = {key: _votes_of(each) for key, each in by_query.items()}
    _limit_users(votes, policy)
    confirmed, doubted = [], set()
    for key, by_document in sorted(votes.items()):
        total = sum(sum(each.shares.values()) for each in by_document.values())
        for document_id, own in sorted(by_document.items()):
            users = len(own.shares)
            agreement = sum(own.shares.values()) / total if total else 0.0
            enough = users >= policy.min_users and users > len(own.rejecting)
            if enough and agreement >= policy.min_agreement:
                spelling = _spelling(by_query[key], document_id)
                if users >= policy.min_share_of_shown * shown_users[key, document_id] and (
                    len(spelling) <= policy.max_characters
                ):
                    rank = sum(own.ranks) / len(own.ranks) if own.ranks else 0.0
                    confirmed.append(Confirmed(spelling, document_id, users, agreement, rank))
            elif len(own.rejecting) >= max(policy.min_users, users):
                doubted.add((key, document_id))
    winners = {without_case_and_end_marks(each.query): each.document_id for each in confirmed}
    doubted |= {
        (key, document_id) for key, winner in winners.items() for document_id in votes[key] if document_id != winner
    }
    confirmed.sort(key=lambda each: (each.document_id, -each.users, -each.rank, each.query))
    return Judged(confirmed, doubted)


def chosen(confirmed: Iterable[Confirmed], policy: Policy) -> list[Confirmed]:
    """Returns the first `max_examples` of each document, given in the order of `judge`."""
    best = []
    for _, each in groupby(confirmed, key=lambda each: each.document_id):
        best += list(each)[: policy.max_examples]
    return best


def _votes_of(evidence: Iterable[Evidence]) -> dict[str, _Votes]:
    """Returns the votes for a query by document."""
    by_document: defaultdict[str, _Votes] = defaultdict(_Votes)
    by_user: defaultdict[bytes, dict[str, Evidence]] = defaultdict(dict)
    for each in evidence:  # The same user may have typed the query in several ways.
        known = by_user[each.user].get(each.document_id)
        by_user[each.user][each.document_id] = each if known is None else _merged(known, each)
    for user, acts in by_user.items():
        for_it = [each for each in acts.values() if each.converted and not each.rejected]
        for_it = for_it or [each for each in acts.values() if each.clicked and not each.rejected]
        for each in for_it:
            votes = by_document[each.document_id]
            votes.shares[user] = 1 / len(for_it)
            if each.rank:
                votes.ranks.append(each.rank)
        for each in acts.values():
            if each.rejected:
                by_document[each.document_id].rejecting.add(user)
    return dict(by_document)


def _merged(one: Evidence, other: Evidence) -> Evidence:
    return one._replace(
        clicked=one.clicked or other.clicked,
        converted=one.converted or other.converted,
        rejected=one.rejected or other.rejected,
        rank=max(one.rank, other.rank),
    )


def _limit_users(votes: Mapping[str, Mapping[str, _Votes]], policy: Policy) -> None:
    """Removes the votes of users for more than `max_user_queries` queries."""
    queries: defaultdict[bytes, set[str]] = defaultdict(set)
    for key, by_document in votes.items():
        for each in by_document.values():
            for user in each.shares:
                queries[user].add(key)
    users = {key: len({user for each in found.values() for user in each.shares}) for key, found in votes.items()}
    for user, voted in queries.items():
        if len(voted) > policy.max_user_queries:
            for key in sorted(voted, key=lambda key: (-users[key], key))[policy.max_user_queries :]:
                for each in votes[key].values():
                    each.shares.pop(user, None)


def _spelling(evidence: Iterable[Evidence], document_id: str) -> str:
    """Returns the form of a query that most users typed for a document; of equally frequent ones the first."""
    counts = Counter(each.query for each in evidence if each.document_id == document_id and not each.rejected)
    return min(counts, key=lambda query: (-counts[query], query))
