"""Results files that a person names by their folder."""

from pathlib import Path

from loadtest.errors import UsageError


def results_files(path: Path) -> list[Path]:
    """Returns the results files of a folder, or the path itself; raises UsageError for a folder without one."""
    if not path.is_dir():
        return [path]
    files = sorted(each for each in path.iterdir() if each.is_file() and each.suffix == ".bin")
    if not files:
        raise UsageError(f"there are no results files (*.bin) in {path}")
    return files
