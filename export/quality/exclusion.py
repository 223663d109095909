"""Finds the products whose quantization hurts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from fnmatch import fnmatchcase

from export.errors import ExportError

MOST_SHARE = 1 / 3
"""Largest share of the products that is left out: beyond it the model is better served in fp32."""


def matching(patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """Returns the names that match any of the shell-style patterns, in their order.

    Raises:
        ExportError: A pattern matches nothing.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            told = ", ".join(names[:6]) + (f", … ({len(names)} in all)" if len(names) > 6 else "")
            raise ExportError(f"--exclude {pattern}: no product has this name; there is {told}")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def find_exclusions(
    names: Sequence[str],
    *,
    excluded: Collection[str],
    score: Callable[[Collection[str]], float],
    passes: Callable[[Collection[str]], bool],
    progress: Callable[[str], None],
) -> list[str] | None:
    """Leaves out as few products as it can find to pass.

    Each product is left out alone first, which ranks them; the best are then left out together until that passes, and
    last the ones among them that were not needed are taken back.

    Args:
        names: All products.
        excluded: What is left out already, and stays so.
        score: Quality with these left out; fast, the higher the better.
        passes: Whether these left out are enough.
        progress: Is told each step.

    Returns:
        What to leave out besides `excluded`, or None if a third of all is not enough.
    """
    candidates = [name for name in names if name not in excluded]
    gains = {}
    for number, name in enumerate(candidates, start=1):
        gains[name] = score([*excluded, name])
        progress(f"without {name} ({number} of {len(candidates)}): {gains[name]:.5f}")
    ranked = sorted(candidates, key=gains.__getitem__, reverse=True)
    chosen: list[str] = []
    for name in ranked[: max(1, int(len(names) * MOST_SHARE))]:
        chosen.append(name)
        progress(f"leaving out {', '.join(chosen)}")
        if passes([*excluded, *chosen]):
            break
    else:
        return None
    for name in chosen[:-1]:  # The last one was needed.
        fewer = [each for each in chosen if each != name]
        if passes([*excluded, *fewer]):
            progress(f"{name} was not needed")
            chosen = fewer
    return chosen
