"""Finds documents that say the same in the same words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from export.bootstrap.checks.finding import Check, Finding, quoted
from export.bootstrap.synthetic.making import without_case_and_spaces
from server.catalogue.document import Document


def duplicates(documents: Sequence[Document]) -> Iterator[Finding]:
    """Yields a finding for the documents of each title and text that several have, but for case, width and spaces."""
    whole: defaultdict[str, list[Document]] = defaultdict(list)
    for each in documents:
        whole[_key([*each.titles().values(), "", *each.texts().values()])].append(each)
    copies = {key: same for key, same in whole.items() if len(same) > 1 and key.strip("\n")}
    for same in copies.values():
        yield Finding(
            check=Check.DUPLICATE,
            documents=_ids(same),
            problem=f"same titles and texts, {quoted(same[0].title_in(''))}",
            advice="keep one of them",
        )
    # Copies are reported once, as such; the first of them represents them here.
    left = [same[0] for same in whole.values()]
    for same, text in _with_same(left, "title"):
        yield Finding(
            check=Check.DUPLICATE,
            documents=_ids(same),
            problem=f"same title {quoted(text)}",
            advice="write into each title what only this document does",
        )
    for same, text in _with_same(left, "text"):
        yield Finding(
            check=Check.DUPLICATE,
            documents=_ids(same),
            problem=f"same text {quoted(text)}",
            advice="describe what only it does in each, or keep one of them",
        )


def _with_same(documents: Sequence[Document], field: str) -> Iterator[tuple[list[Document], str]]:
    """Yields the documents of each title or text that several have, and that text; each set of documents once."""
    by_key: defaultdict[str, list[tuple[Document, str]]] = defaultdict(list)
    for each in documents:
        texts = each.titles() if field == "title" else each.texts()
        for key, text in {without_case_and_spaces(text): text for text in texts.values()}.items():
            by_key[key].append((each, text))
    seen = set()
    for key, same in by_key.items():
        ids = tuple(each.id for each, _ in same)
        if key and len(same) > 1 and ids not in seen:
            seen.add(ids)
            yield [each for each, _ in same], same[0][1]


def _key(texts: Sequence[str]) -> str:
    return "\n".join(map(without_case_and_spaces, texts))


def _ids(documents: Sequence[Document]) -> list[str]:
    return [each.id for each in documents]
