"""The file of rules beside the catalogue: JSONL, a rule on each line."""

from pathlib import Path

from server.catalogue.jsonl import read_jsonl
from server.errors import CatalogueError, UnfitRule
from server.merchandising.rule import Rule
from server.merchandising.table import RuleTable


def read_rules(path: Path) -> RuleTable:
    """Returns the table of a file. Raises CatalogueError, which names the line and says what to do."""
    lines_of: dict[str, int] = {}
    rules: list[Rule] = []
    for number, read in read_jsonl(path, Rule):
        rule = read.canonical()
        if (problem := next(rule.problems(), None)) is not None:
            raise CatalogueError(f"{path}:{number}: {problem.field} {problem.description}")
        if (line := lines_of.setdefault(rule.id, number)) != number:
            raise CatalogueError(f"{path}:{number}: the id is that of line {line}: give each rule another id")
        rules.append(rule)
    try:
        return RuleTable(rules)
    except UnfitRule as error:
        raise CatalogueError(f"{path}: {error}") from None
