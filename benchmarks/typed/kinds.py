"""The kinds of typed queries, and the recall that each must reach."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from benchmarks.typed.rules import (
    Rule,
    decomposed,
    in_capitals,
    in_initials,
    initials_after_word,
    initials_joined,
    initials_without_spaces,
    on_dubeolsik,
    on_mixed_layouts,
    on_qwerty,
    spaced_apart,
    unfinished,
    unfinished_on_qwerty,
    with_caps_lock,
    with_doubled_spaces,
    with_misplaced_space,
    with_stray_space,
    without_spaces,
)
from benchmarks.typed.typos import (
    ERRORS,
    mistyped,
    mistyped_in_english,
    with_doubled,
    with_missing,
    with_neighbour,
    with_swapped,
)
from server.korean.jamo import initials, letters
from server.korean.keyboard import as_english

RULE_MADE_RECALL = 0.9
TYPO_RECALL = 0.7
"""Least R@1."""

LAYOUT_LOSS = 0.02
"""R@1 that own words may lose on the wrong layout: its keys say all that was meant."""


class Kind(NamedTuple):
    """A kind of typed queries.

    Attributes:
        rule: Makes a typed form of a text.
        least_recall: R@1 that the judging half must reach in each mode; None if it is only reported.
        beginning: If the typed form is only the beginning of a text: the form in which beginnings are compared.
        most_loss: R@1 that the judging half may lose in each mode against the meant texts; None if that has no bound.
    """

    rule: Rule
    least_recall: float | None
    beginning: Callable[[str], str] | None = None
    most_loss: float | None = None


KINDS = {
    "as written": Kind(lambda text, _: text, None),
    "Korean on QWERTY": Kind(on_qwerty, RULE_MADE_RECALL),
    "English on Dubeolsik": Kind(on_dubeolsik, RULE_MADE_RECALL),
    "one word on QWERTY": Kind(on_mixed_layouts, RULE_MADE_RECALL),
    "Korean on QWERTY, Caps Lock": Kind(with_caps_lock, RULE_MADE_RECALL),
    "Korean on QWERTY, all capitals": Kind(in_capitals, RULE_MADE_RECALL),
    "initials": Kind(in_initials, RULE_MADE_RECALL, initials),
    "initials without spaces": Kind(initials_without_spaces, RULE_MADE_RECALL, initials),
    "initials, joined": Kind(initials_joined, RULE_MADE_RECALL, initials),
    "initials after a word": Kind(initials_after_word, RULE_MADE_RECALL, initials),
    "unfinished": Kind(unfinished, RULE_MADE_RECALL, letters),
    "unfinished on QWERTY": Kind(unfinished_on_qwerty, RULE_MADE_RECALL, as_english),
    "NFD": Kind(decomposed, RULE_MADE_RECALL),
    "no spaces": Kind(without_spaces, RULE_MADE_RECALL),
    "all syllables apart": Kind(spaced_apart, RULE_MADE_RECALL),
    "stray space": Kind(with_stray_space, RULE_MADE_RECALL),
    "misplaced space": Kind(with_misplaced_space, RULE_MADE_RECALL),
    "doubled spaces": Kind(with_doubled_spaces, RULE_MADE_RECALL),
    "typo: neighbouring key": Kind(partial(mistyped, error=with_neighbour), TYPO_RECALL),
    "typo: missing key": Kind(partial(mistyped, error=with_missing), TYPO_RECALL),
    "typo: doubled key": Kind(partial(mistyped, error=with_doubled), TYPO_RECALL),
    "typo: swapped keys": Kind(partial(mistyped, error=with_swapped), TYPO_RECALL),
    "typo in English": Kind(mistyped_in_english, TYPO_RECALL),
}
"""Kinds that rules make from titles and example queries."""

OWN_WORDS = {
    "own words": Kind(lambda text, _: text, None),
    "own words on QWERTY": Kind(on_qwerty, None, most_loss=LAYOUT_LOSS),
    "own words without spaces": Kind(without_spaces, None),
    "own words with a typo": Kind(
        lambda text, chance: mistyped(text, chance, error=chance.choice(ERRORS)), TYPO_RECALL
    ),
}
"""Kinds that rules make from the queries of `by_hand.jsonl`, which are in no document."""

CLIPPINGS = "clippings"
"""Slang and shortened words of `by_hand.jsonl`. They need the synonyms of `sample/synonyms.txt`."""


def least_recall(name: str, *, meant_recall: float) -> float | None:
    """Returns the R@1 that the judging half of a kind must reach; None if it has no target.

    Args:
        name: The kind.
        meant_recall: R@1 of the meant texts.
    """
    if name == CLIPPINGS:
        return RULE_MADE_RECALL
    kind = (KINDS | OWN_WORDS)[name]
    return kind.least_recall if kind.most_loss is None else meant_recall - kind.most_loss
