import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from server.encoding.packed import RUN_TOKENS, WIDTH_MULTIPLE, packed_inputs, runs

lengths_of_texts = st.lists(st.integers(1, 300), min_size=1, max_size=60)


@given(lengths_of_texts)
def test_every_text_is_in_one_run_of_similar_lengths_within_the_budget(lengths: list[int]) -> None:
    found = list(runs(lengths, run_tokens=RUN_TOKENS))
    assert [lengths[position] for run in found for position in run] == sorted(lengths)
    assert sorted(position for run in found for position in run) == list(range(len(lengths)))
    for run in found:
        assert len(run) == 1 or sum(lengths[position] for position in run) <= RUN_TOKENS


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=20), min_size=1, max_size=8))
def test_packing_reverses_unpacking(texts: list[list[int]]) -> None:
    inputs = packed_inputs(texts)
    assert inputs["input_ids"].tolist() == [token for text in texts for token in text]
    assert inputs["position_ids"].tolist() == [place for text in texts for place in range(len(text))]
    unpacked = inputs["input_ids"][inputs["unpack"]]
    assert unpacked.shape[1] % WIDTH_MULTIPLE == 0
    for row, text in zip(unpacked.tolist(), texts, strict=True):
        assert row[: len(text)] == text
        assert set(row[len(text) :]) <= {text[-1]}
    np.testing.assert_array_equal(unpacked.reshape(-1)[inputs["pack"]], inputs["input_ids"])
    assert inputs["lengths"].dtype == np.int32
