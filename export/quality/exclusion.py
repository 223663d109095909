"""Finds the products whose quantization harms quality."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from fnmatch import fnmatchcase

from export.errors import ExportError

MOST_SHARE = 1 / 3
"""Maximum share of the products to leave in fp32, besides those excluded by name; above it, fp32 is better."""


def matching(patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """Returns the names that match any of the shell-style patterns, in their order.

    Raises:
        ExportError: A pattern matches nothing.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            known = ", ".join(names[:6]) + (f", … ({len(names)} in all)" if len(names) > 6 else "")
            raise ExportError(f"--exclude {pattern}: no product has this name; the products are {known}")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def find_exclusions(
    names: Sequence[str],
    *,
    excluded: Collection[str],
    score: Callable[[Collection[str]], float],
    passes: Callable[[Collection[str]], bool],
    progress: Callable[[str], None],
) -> list[str] | None:
    """Finds a small set of products to leave in fp32, if leaving only `excluded` does not pass.

    Products are ranked by their harm when only that product is quantized. (Leaving out one product at a time would not
    work: a second harmful product would hide the gain.) A binary search finds how many of the worst must be left out.
    Then each of them that turns out to be unnecessary is quantized again.

    Args:
        names: All products.
        excluded: Products that are already left out, and stay so.
        score: Returns the quality with these products left out; it is fast, and higher is better.
        passes: Returns whether the quality passes with these products left out.
        progress: Called with a line for each step.

    Returns:
        The products to leave out besides `excluded`, or None if a third of all products is not enough.
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
    for name in chosen[:-1]:  # The last one is known to be necessary.
        fewer = [each for each in chosen if each != name]
        if enough(fewer):
            chosen = fewer
    return chosen
