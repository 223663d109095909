"""Quality of search, as far as the server sees it."""

from deploy.grafana.frame import Row
from deploy.grafana.panels import Panel, graph, value
from deploy.grafana.queries import Query, rate, share

SEARCHES = "chaja_searches_total"


def values() -> list[Panel]:
    """Returns the values of the overview."""
    return [
        value(
            title,
            [Query(share(SEARCHES, f'result="{result}"'), "")],
            unit="percentunit",
            text=text,
            decimals=1,
            no_value="no searches",
        )
        for title, result, text in (
            (
                "No hits",
                "no_hits",
                "Share of the searches without a hit. A jump: callers send a filter that no document meets, or "
                "documents were deleted.",
            ),
            (
                "No good answer",
                "no_good_answer",
                "Share of the searches with hits of which none fits well. A jump after a reload: the new model or "
                "catalogue does not fit the queries.",
            ),
        )
    ]


def details() -> Row:
    """Returns the row of the details."""
    return Row("Search quality", [_searches(), _shares(), _interpretations(), _moved_hits()])


def _searches() -> Panel:
    return graph(
        "Searches by result",
        [Query(rate(SEARCHES, by="result"), "{{result}}")],
        unit="reqps",
        text="Answered searches, queries of batches and streams included. A result that grows with the rate is "
        "nothing new; compare the shares beside it.",
        stacked=True,
        width=12,
    )


def _shares() -> Panel:
    return graph(
        "Searches without a good answer",
        [Query(share(SEARCHES, f'result="{result}"'), result) for result in ("no_hits", "no_good_answer")],
        unit="percentunit",
        text="no_hits: a filter that no document meets, or an empty catalogue; warnings of the answers name the "
        "condition. no_good_answer: people ask for what the catalogue does not have; show these queries to its "
        "editors. A jump after a reload: go back to the previous bundle.",
        no_value="no searches",
        width=12,
    )


def _interpretations() -> Panel:
    return graph(
        "Interpreted and expanded searches",
        [
            Query(rate("chaja_searches_interpreted_total", by="interpretation"), "{{interpretation}}"),
            Query(rate("chaja_searches_expanded_total"), "synonyms"),
        ],
        unit="reqps",
        text="Answered searches of what was meant instead of what was typed: on the other keyboard layout, in initial "
        "consonants, unfinished, with spaces between syllables, or with a typing error; and those to which rules of "
        "synonyms have added phrases.",
        width=12,
    )


def _moved_hits() -> Panel:
    return graph(
        "Hits moved by rules",
        [Query(rate("chaja_hits_moved_total", by="effect"), "{{effect}}")],
        unit="cps",
        text="Hits of answered searches that rules of merchandising have pinned, buried or boosted, each second.",
        stacked=True,
        width=12,
    )
