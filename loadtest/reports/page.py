from collections.abc import Mapping

from loadtest.analysis.summary import Summary


def report_page(summary: Summary, *, title: str) -> str:
    return ""


def comparison_page(summaries: Mapping[str, Summary], *, title: str) -> str:
    return ""
