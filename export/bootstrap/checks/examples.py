"""Finds example queries that several documents share, and catalogues in which only some documents have examples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from export.bootstrap.checks.finding import Check, Finding, quoted
from export.bootstrap.synthetic.making import without_case_and_spaces
from server.catalogue.document import Document


def shared_examples(documents: Sequence[Document]) -> Iterator[Finding]:
    """Yields a finding for each example that is an example or the title of another document, too."""
    with_example: defaultdict[str, dict[str, str]] = defaultdict(dict)
    with_title: defaultdict[str, list[str]] = defaultdict(list)
    for each in documents:
        for example in each.examples:
            with_example[without_case_and_spaces(example)].setdefault(each.id, example)
        for title in each.titles().values():
            with_title[without_case_and_spaces(title)].append(each.id)
    for key, examples in with_example.items():
        text = quoted(next(iter(examples.values())))
        if len(examples) > 1:
            yield Finding(
                check=Check.SHARED_EXAMPLE,
                documents=list(examples),
                problem=f"share the example {text}",
                advice="keep it in the one that answers it best",
            )
        titled = [id for id in dict.fromkeys(with_title.get(key, [])) if id not in examples]
        if titled:
            yield Finding(
                check=Check.SHARED_EXAMPLE,
                documents=[*examples, *titled],
                problem=f"the example {text} of {next(iter(examples))} is the title of {titled[0]}",
                advice="take the example out",
            )


def uneven_examples(documents: Sequence[Document]) -> Iterator[Finding]:
    """Yields a finding if some documents have examples and others have none."""
    without = [each.id for each in documents if not each.examples]
    if without and len(without) < len(documents):
        yield Finding(
            check=Check.UNEVEN_EXAMPLES,
            documents=without,
            problem=f"{len(without):,} of {len(documents):,} documents have no examples, and the others attract their "
            "queries",
            advice="give examples to all documents or to none",
        )
