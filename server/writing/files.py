"""The files that are imported into the store: the catalogue, and the rules beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from server.catalogue.rules import RuleKind
from server.catalogue.store import Store
from server.progress import Progress
from server.settings import Settings
from server.writing.alone import alone
from server.writing.file_import import FileLimits, import_file, read_difference
from server.writing.rule_import import import_rules, read_rule_changes
from server.writing.writer import Writer

WORK = "import"
"""The work that one server at a time does on a store; see `Store.alone`."""


class Files(NamedTuple):
    """The files of a server.

    Attributes:
        catalogue: The documents; None if they are in the store alone.
        rules: The rules, by their kind.
        limits: The limits of all.
    """

    catalogue: Path | None
    rules: Mapping[RuleKind, Path]
    limits: FileLimits

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Returns the files in the settings."""
        rules = {RuleKind.SYNONYM: settings.synonyms, RuleKind.MERCHANDISING: settings.rules}
        return cls(
            settings.catalogue,
            {kind: path for kind, path in rules.items() if path is not None},
            FileLimits(settings.max_document_characters, settings.max_catalogue_shrink),
        )

    @property
    def paths(self) -> list[Path]:
        """The paths of all files."""
        return [*([] if self.catalogue is None else [self.catalogue]), *self.rules.values()]

    def check(self, store: Store) -> None:
        """Reads all files; raises CatalogueError if one of them cannot be used. Blocks."""
        if self.catalogue is not None:
            read_difference(self.catalogue, store, self.limits)
        for kind, path in self.rules.items():
            read_rule_changes(kind, path, store, self.limits)

    async def import_all(self, store: Store, writer: Writer, progress: Progress) -> None:
        """Imports what has changed in the files since their last import; see `import_file` and `import_rules`.

        Servers of one store do so one after the other: a slow one would undo what was written after a fast one.
        """
        async with alone(store, WORK):
            if self.catalogue is not None:
                await import_file(self.catalogue, store, writer, self.limits, progress)
            for kind, path in self.rules.items():
                await import_rules(kind, path, store, writer, self.limits)
