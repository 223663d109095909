"""The rules of `deploy/prometheus`, read from their files."""

import re
from typing import Any, NamedTuple

import yaml

from sample.server_process import REPOSITORY

FOLDER = REPOSITORY / "deploy/prometheus"
RULE_TESTS = sorted(FOLDER.glob("tests/*.yml"))
SELECTOR = re.compile(r"(?<![\w:])((?:job|instance)\w*:[\w:]+|(?:chaja|grpc_server|process)_\w+|up)\b(\{[^}]*\})?")
"""A selector of one of our series, by the prefixes of their names."""

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Rule(NamedTuple):
    """A recording rule or an alert; `severity` and `annotations` are those of an alert."""

    group: str
    name: str
    expression: str
    for_seconds: int
    severity: str
    annotations: dict[str, str]

    @property
    def selectors(self) -> list[tuple[str, str]]:
        """The series that it reads: name, and the braces after it or an empty text."""
        return SELECTOR.findall(re.sub(r"\b(without|ignoring|on) \([^)]*\)", "", self.expression))


def read_rules(file: str) -> list[Rule]:
    """Returns the rules of a file, such as `alerts.yml`."""
    groups = yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))["groups"]
    return [_rule(group["name"], each) for group in groups for each in group["rules"]]


def seconds_of(duration: str) -> int:
    """Returns the seconds of a duration such as `1h30m`."""
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))


def _rule(group: str, rule: dict[str, Any]) -> Rule:
    return Rule(
        group,
        rule.get("record") or rule["alert"],
        rule["expr"],
        seconds_of(rule.get("for", "0s")),
        rule.get("labels", {}).get("severity", ""),
        rule.get("annotations", {}),
    )


RECORDING, ALERTS = read_rules("recording.yml"), read_rules("alerts.yml")
