"""Imports a file of rules into the store, as the catalogue file is: only what has changed in it since its last import.

Rules that were changed through their service stay as they are until the same rule changes in the file.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from server.catalogue.rules import DeleteRule, PutRule, RuleKind
from server.catalogue.store import Store
from server.errors import CatalogueError, ChajaError
from server.merchandising.file import read_rules
from server.merchandising.rule import Rule
from server.ranking.rule_warnings import rule_warnings
from server.synonyms.file import read_synonyms
from server.writing.file_import import FileLimits
from server.writing.rules import RuleChanges, RuleFile
from server.writing.writer import Writer

log = logging.getLogger(__name__)


def _synonyms_of(path: Path) -> dict[str, bytes]:
    return {rule.id: rule.text.encode() for rule in read_synonyms(path).rules}


def _merchandising_of(path: Path) -> dict[str, bytes]:
    return {rule.id: rule.content for rule in read_rules(path).rules}


CONTENTS_OF: Mapping[RuleKind, Callable[[Path], Mapping[str, bytes]]] = {
    RuleKind.SYNONYM: _synonyms_of,
    RuleKind.MERCHANDISING: _merchandising_of,
}
"""Functions that return the contents of the rules of a file by id, or raise CatalogueError."""


async def import_rules(kind: RuleKind, path: Path, store: Store, writer: Writer, limits: FileLimits) -> None:
    """Makes the changes of a file since its last import, all or none. Raises CatalogueError."""
    changes = await asyncio.to_thread(read_rule_changes, kind, path, store, limits)
    if not changes.changes:
        return
    removed = sum(isinstance(change, DeleteRule) for change in changes.changes)
    log.info(
        "importing %s: %d rules are new or changed, %d were removed", path, len(changes.changes) - removed, removed
    )
    try:
        await writer.change_rules(changes)
    except ChajaError as error:
        raise CatalogueError(f"{path}: {error}") from None
    if kind is RuleKind.MERCHANDISING:
        put = [Rule.read(change.content) for change in changes.changes if isinstance(change, PutRule)]
        for warning in rule_warnings([(f"rule {rule.id!r}", rule) for rule in put], writer.state):
            log.warning("%s: %s", path, warning)


def read_rule_changes(kind: RuleKind, path: Path, store: Store, limits: FileLimits) -> RuleChanges:
    """Compares a file with its last import. Blocks; raises CatalogueError if the file cannot be used."""
    known = store.rule_file_digests(kind)
    contents = CONTENTS_OF[kind](path)
    # To edit a rule of synonyms removes one and adds another: only the number of rules shows that a file was cut.
    if limits.forbid(missing=len(known) - len(contents), before=len(known)):
        remedy = limits.remedy(missing=len(known) - len(contents), before=len(known))
        raise CatalogueError(
            f"{path} has {len(contents)} rules, and had {len(known)} when it was last imported: it may have been cut "
            f"short; if it is complete, {remedy}"
        )
    digests = {id: hashlib.blake2b(content, digest_size=16).digest() for id, content in contents.items()}
    digests = {id: digest for id, digest in digests.items() if known.get(id) != digest}
    gone = [id for id in known if id not in contents]
    return RuleChanges(
        [*(PutRule(kind, id, contents[id]) for id in digests), *(DeleteRule(kind, id) for id in gone)],
        file=RuleFile(kind, digests, gone),
    )
