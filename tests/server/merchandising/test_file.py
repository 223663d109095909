"""The file of rules: what it may have, and the errors that name the line."""

from pathlib import Path

import pytest

from server.errors import CatalogueError
from server.merchandising.file import read_rules
from tests.server.merchandising.making import rule

FINE = '{"id": "a", "pinned_ids": ["x"]}'


def write(path: Path, *lines: str) -> Path:
    file = path / "rules.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def test_rules_are_read_in_canonical_form(tmp_path: Path) -> None:
    file = write(
        tmp_path, "\ufeff" + FINE, "", '{"id": "b", "query": " 카드  분실", "language_code": "KO", "buried_ids": ["y"]}'
    )
    read = read_rules(file).rules
    assert read == (rule("a"), rule("b", query="카드 분실", language_code="ko", buried_ids=["y"]))


def test_what_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    rules = (rule("a", query="카드", match="prefix", end_time="2026-12-01T00:00:00+09:00"), rule("b"))
    assert read_rules(write(tmp_path, *(each.content.decode() for each in rules))).rules == rules


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"id": "b"}', r"rules\.jsonl:2: pinned_ids is empty, and so is every other effect"),
        ('{"id": "a", "pinned_ids": ["y"]}', r"rules\.jsonl:2: the id is that of line 1: give each rule another id"),
        ('{"id": "b", "pinned_ids": ["y"], "boost": []}', r"rules\.jsonl:2: .*`boost`"),
        ('{"id": "b", "pinned_ids": "y"}', r"rules\.jsonl:2: "),
        (
            '{"id": "b", "pinned_ids": ["y"], "match": "CONTAINS"}',
            r"rules\.jsonl:2: Invalid enum value 'CONTAINS' - at `\$\.match`; write exact or prefix or contains$",
        ),
        ('{"id": "b"', r"rules\.jsonl:2: "),
        ("카드 -> 체크카드", r"rules\.jsonl:2: "),
    ],
)
def test_an_error_names_the_line(tmp_path: Path, line: str, problem: str) -> None:
    with pytest.raises(CatalogueError, match=problem) as raised:
        read_rules(write(tmp_path, FINE, line))
    assert "\n" not in str(raised.value)


def test_a_file_has_a_bounded_number_of_rules(tmp_path: Path) -> None:
    lines = (f'{{"id": "{number}", "pinned_ids": ["x"]}}' for number in range(1001))
    with pytest.raises(CatalogueError, match=r"rules\.jsonl: there are 1001 rules: keep at most 1000"):
        read_rules(write(tmp_path, *lines))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"none\.jsonl cannot be read: No such file or directory"):
        read_rules(tmp_path / "none.jsonl")
