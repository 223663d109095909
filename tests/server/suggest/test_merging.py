from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from server.suggest.completion import Completion, Suggestion
from server.suggest.index import SuggestIndex
from server.suggest.merging import Placed, merged_suggestions
from tests.server.suggest.test_index import some_completions, typed_for

documents = st.lists(st.lists(some_completions, max_size=3), max_size=16)


@settings(deadline=None, max_examples=200)
@given(documents, st.data())
def test_suggestions_of_parts_merge_to_those_of_all(documents: Sequence[list[Completion]], data: st.DataObject) -> None:
    random = data.draw(st.randoms(use_true_random=False))
    whole, parts = SuggestIndex(), [SuggestIndex() for _ in range(3)]
    whole.add(enumerate(documents))
    slots: list[list[int]] = [[] for _ in parts]
    for slot, completions in enumerate(documents):
        part = random.randrange(len(parts))
        parts[part].add([(len(slots[part]), completions)])
        slots[part].append(slot)
    allowed = np.array([random.random() < 0.8 for _ in documents], np.bool_)
    language, limit = random.choice([None, "ko", "en"]), random.choice([1, 3, 50])
    typed = typed_for(random, [own.text for completions in documents for own in completions] or ["카드"])

    def merged(*, exact: bool) -> list[Suggestion]:
        placed = [
            Placed(found, own[found.suggestion.slot], "")
            for part, own in zip(parts, slots, strict=True)
            for found in part.view().parts(
                typed, limit=limit, allowed=allowed[own], language=None if exact else language, exact=exact
            )
        ]
        return [found for found, _ in merged_suggestions(placed, limit=limit)]

    expected = whole.view().suggest(typed, limit=limit, allowed=allowed, language=language)
    assert [each._replace(slot=0) for each in merged(exact=False)] == [each._replace(slot=0) for each in expected]
    assert [each.text for each in merged(exact=True)] == whole.view().exact(typed, limit=limit, allowed=allowed)
