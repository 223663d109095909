"""Finds the products whose quantization hurts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from fnmatch import fnmatchcase

from export.errors import ExportError

MOST_SHARE = 1 / 3
"""Largest share of the products that is left out, beside those excluded by name; beyond it fp32 is better."""


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
    """Leaves out as few products as it can find to pass, when `excluded` alone do not.

    Products are ranked by the harm of each when it alone is quantized: when only one were left out, a second that
    hurts as much would hide what that gains. The worst are then left out together, as many as it takes to pass, and
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
    scores = {}
    for number, name in enumerate(candidates, start=1):
        scores[name] = score([each for each in names if each != name])
        progress(f"only {name} quantized ({number} of {len(candidates)}): mean cosine {scores[name]:.5f}")
    most = max(1, int(len(names) * MOST_SHARE))
    worst = sorted(candidates, key=scores.__getitem__)[:most]

    def enough(tried: Sequence[str]) -> bool:
        passed = passes([*excluded, *tried])
        progress(f"{', '.join(tried)} left out: {'enough' if passed else 'not enough'}")
        return passed

    if not worst or not enough(worst):
        return None
    too_few, chosen = 0, worst
    while len(chosen) - too_few > 1:
        middle = (too_few + len(chosen)) // 2
        if enough(worst[:middle]):
            chosen = worst[:middle]
        else:
            too_few = middle
    for name in chosen[:-1]:  # The last one was needed.
        fewer = [each for each in chosen if each != name]
        if enough(fewer):
            chosen = fewer
    return chosen
