"""Renames the packages of the checkout in the import statements of one module.

In a wheel, top-level packages called `server` and `loadtest` could collide with those of other projects. Strings do
not change: sources use `__package__` and `programs.py` instead of naming a module in a string.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping


class CannotRename(Exception):
    """An import statement that cannot be renamed; the message has its line."""


def rename_imports(source: str, packages: Mapping[str, str]) -> str:
    """Returns the source of a module with its absolute imports renamed.

    Args:
        source: The source.
        packages: The name of each package in the checkout and in the wheel.

    Raises:
        CannotRename: `import server.x` without `as`, which binds the name `server`.
    """
    lines = source.encode().splitlines(keepends=True)
    statements = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    # From the last to the first, so that the positions of the others stay valid: they count bytes.
    for node in sorted(statements, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        if isinstance(node, ast.ImportFrom):
            if node.level == 0 and _package(node.module) in packages:
                _rename(lines, node, rb"from[ \t]+", packages)
            continue
        for alias in reversed(node.names):
            if _package(alias.name) not in packages:
                continue
            if alias.asname is None:
                raise CannotRename(f"line {alias.lineno}: write `from … import …` instead of `import {alias.name}`")
            _rename(lines, alias, rb"", packages)
    return b"".join(lines).decode()


def _package(module: str | None) -> str:
    return (module or "").partition(".")[0]


def _rename(lines: list[bytes], node: ast.ImportFrom | ast.alias, keyword: bytes, packages: Mapping[str, str]) -> None:
    """Renames the package that follows the keyword at the node's position."""
    line = lines[node.lineno - 1]
    before, statement = line[: node.col_offset], line[node.col_offset :]
    found = re.match(rb"(" + keyword + rb")(\w+)", statement)
    if found is None:
        raise CannotRename(f"line {node.lineno}: write the module's name directly after `from`")
    renamed = packages[found[2].decode()].encode()
    lines[node.lineno - 1] = before + found[1] + renamed + statement[found.end() :]
