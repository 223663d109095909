"""An evaluation as JSON, with what each system found for each query."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from export.evaluation.measures import NAMES
from export.evaluation.report.content import Content


def as_json(content: Content) -> str:
    """Returns the figures, and for each query what was asked, found and measured."""
    evaluation, judged = content.evaluation, content.evaluation.judged
    plain: dict[str, Any] = {
        "set": judged.name,
        "documents": len(judged.documents),
        "queries": len(judged.queries),
        "notes": evaluation.notes,
        "baseline": evaluation.baseline,
        "systems": msgspec.to_builtins(evaluation.summaries),
        "slices": msgspec.to_builtins(content.slices),
        "worst": {"system": content.best, "queries": msgspec.to_builtins(content.worst)},
        "by_query": [
            {
                "query": query.text,
                "language": query.language,
                "relevant": dict(query.grades),
                "systems": {
                    run.system: {
                        "found": list(run.found[row]),
                        "measures": dict(zip(NAMES, values[:, row].round(5).tolist(), strict=True)),
                    }
                    for run, values in zip(evaluation.runs, evaluation.values, strict=True)
                },
            }
            for row, query in enumerate(judged.queries)
        ],
    }
    return json.dumps(plain, ensure_ascii=False, indent=1) + "\n"
