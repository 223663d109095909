"""The file of synonyms beside the catalogue: UTF-8, a rule on each line, comments after `#`.

```text
# Slang of cards and accounts
체카 = 체크카드 = 체크 카드
마통 -> 마이너스통장
en: cc -> credit card
```
"""

from functools import partial
from pathlib import Path

from server.errors import CatalogueError, UnfitRule
from server.files import is_pipe_or_device
from server.synonyms.rule import Rule
from server.synonyms.table import SynonymTable

MAX_LINE_BYTES = 2**16

UTF8_MARK = b"\xef\xbb\xbf"


def read_synonyms(path: Path) -> SynonymTable:
    """Returns the table of a file. Raises CatalogueError, which names the line and says what to do."""
    lines_of: dict[Rule, int] = {}
    try:
        if is_pipe_or_device(path):
            raise CatalogueError(f"{path} is not a regular file: write the rules to one")
        with path.open("rb") as file:
            for number, line in enumerate(iter(partial(file.readline, MAX_LINE_BYTES + 1), b""), start=1):
                try:
                    rule = _rule(line.removeprefix(UTF8_MARK) if number == 1 else line)
                    if rule is not None and lines_of.setdefault(rule, number) != number:
                        raise UnfitRule(f"the rule is that of line {lines_of[rule]}: remove one of them")
                except UnfitRule as error:
                    raise CatalogueError(f"{path}:{number}: {error}") from None
        return SynonymTable(lines_of)
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read: {error.strerror}") from None
    except UnfitRule as error:
        raise CatalogueError(f"{path}: {error}") from None


def _rule(line: bytes) -> Rule | None:
    if len(line) > MAX_LINE_BYTES:
        raise UnfitRule(f"the line has more than {MAX_LINE_BYTES} bytes: write one rule on each line")
    try:
        return Rule.parse(line.decode())
    except UnicodeDecodeError:
        raise UnfitRule("the line is not UTF-8: save the file as UTF-8") from None
