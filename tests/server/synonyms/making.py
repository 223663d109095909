"""Makes rules and tables of synonyms for tests."""

from hypothesis import strategies as st

from server.synonyms.rule import Kind, Rule
from server.synonyms.table import SynonymTable
from server.synonyms.words import words_of


def rule(line: str) -> Rule:
    parsed = Rule.parse(line)
    assert parsed is not None
    return parsed


def table(*lines: str) -> SynonymTable:
    return SynonymTable(map(rule, lines))


def phrases(letters: str = "가나체카드ab1") -> st.SearchStrategy[str]:
    """Returns phrases of a few words of few letters, so that many of them meet."""
    words = st.text(st.sampled_from(letters), min_size=1, max_size=4)
    return st.lists(words, min_size=1, max_size=3).map(" ".join)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    kind = draw(st.sampled_from(Kind))
    most = 2 if kind is Kind.ONE_WAY else 5
    some = draw(st.lists(phrases(), min_size=2, max_size=most, unique_by=lambda each: tuple(words_of(each))))
    return Rule(kind, tuple(some), draw(st.sampled_from(["", "ko", "en", "en-us"])))
