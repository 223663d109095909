"""The thresholds that a bundle must reach to be written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import msgspec

from export.quality.closeness import Closeness
from export.quality.invariance import Invariance
from export.quality.retrieval import Retrieval


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """The measurements of a bundle against its original.

    `long_texts` has the cosines of long texts, which have up to `longest_tokens`; `closeness` those of all other texts.
    """

    closeness: Closeness
    long_texts: Closeness
    longest_tokens: int
    invariance: Invariance
    retrieval: Retrieval


def _threshold(default: float, help: str, measured: Callable[[Quality], float], *, most: bool = False) -> Any:
    return field(default=default, metadata={"help": help, "measured": measured, "most": most})


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The thresholds of a bundle; each field is a flag. NaN never passes.

    The defaults lie below every quantization that works. On the sample, `python -m export --out DIR --model
    all-MiniLM-L6-v2 --quantization …` prints as mean, first percentile and lowest cosine, and top-10 overlap: per-token
    .999, .997, .997, .94; dynamic .988, .971, .956, .80; static .988, .968, .957, .79. R@k loses at most .014.
    """

    min_cosine_mean: float = _threshold(
        0.97,
        "mean cosine to the original's vectors, of long texts as of all others",
        lambda quality: min(quality.closeness.cosine_mean, quality.long_texts.cosine_mean),
    )
    min_cosine_p1: float = _threshold(
        0.93, "first percentile of the cosines", lambda quality: quality.closeness.cosine_p1
    )
    min_cosine_min: float = _threshold(
        0.9,
        "cosine of any text",
        lambda quality: min(quality.closeness.cosine_min, quality.long_texts.cosine_min),
    )
    min_top10_overlap: float = _threshold(
        0.7,
        "share of the original's first ten documents that are among the bundle's first ten",
        lambda quality: quality.retrieval.top10_overlap,
    )
    max_recall_loss: float = _threshold(
        0.03, "loss of R@1, R@5, R@10 or R@20", lambda quality: quality.retrieval.recall_loss, most=True
    )
    min_invariance: float = _threshold(
        0.9999,
        "cosine of a text's vectors, alone and in a batch",
        lambda quality: quality.invariance.worst_cosine,
    )

    def missed(self, quality: Quality) -> list[str]:
        """Returns each missed threshold, with the measured value."""
        result = []
        for each in fields(self):
            measured, bound = each.metadata["measured"](quality), getattr(self, each.name)
            if not (measured <= bound if each.metadata["most"] else measured >= bound):
                result.append(f"--{each.name.replace('_', '-')} {bound:g}: measured {measured:g}")
        return result


def threshold_flags() -> list[tuple[str, float, str]]:
    """Returns name, default and help of each threshold."""
    return [
        (each.name, each.default, ("maximum " if each.metadata["most"] else "minimum ") + each.metadata["help"])
        for each in fields(Thresholds)
        if each.default is not MISSING
    ]
