"""A small evaluation, whose systems are lists of what they find."""

from collections.abc import Mapping, Sequence

from export.evaluation.evaluation import Evaluation, evaluate
from export.evaluation.judged import JudgedQuery, JudgedSet
from server.catalogue.document import Document

DOCUMENTS = [
    Document(id="lost", title={"ko": "카드 분실 신고", "en": "Report a lost card"}),
    Document(id="limit", title="이체 한도"),
    Document(id="<b>", title="<script>alert(1)</script>"),
]


class Listed:
    """A system that finds the same for each query."""

    note = "k1 1 & b <2>"

    def __init__(self, name: str, found: Sequence[Sequence[str]]) -> None:
        self.name = name
        self._found = found

    def search(self, queries: Sequence[str]) -> list[list[str]]:
        assert len(queries) == len(self._found)
        return [list(ids) for ids in self._found]


def asked(text: str, *ids: str, language: str = "ko") -> JudgedQuery:
    return JudgedQuery(text=text, language=language, grades=dict.fromkeys(ids, 1))


def made(
    queries: Sequence[JudgedQuery],
    found: Mapping[str, Sequence[Sequence[str]]],
    *,
    labels: Sequence[JudgedQuery] = (),
) -> Evaluation:
    """Returns the evaluation of some systems, by what each finds; the first is the baseline."""
    judged = JudgedSet(name="made & small", documents=DOCUMENTS, queries=queries, labels=labels)
    systems = [Listed(name, ids) for name, ids in found.items()]
    return evaluate(judged, systems, baseline=systems[0].name, progress=lambda step: None)
