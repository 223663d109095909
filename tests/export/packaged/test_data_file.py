import struct

import numpy as np
import pytest

from export.errors import ExportError
from export.packaged.data_file import DataFile
from tests.export.packaged.small_data_file import NORMALIZATION, TOKENS, SmallDataFile


def test_every_weight_is_read_bit_for_bit() -> None:
    small = SmallDataFile()
    data = DataFile(small.content)
    for name, weights in small.weights.items():
        np.testing.assert_array_equal(data.tensor(name, *weights.shape), weights)


def test_sizes_and_vocabulary_are_read() -> None:
    data = DataFile(SmallDataFile().content)
    assert (data.sizes.hidden, data.sizes.layers, data.sizes.vocabulary) == (32, 2, len(TOKENS) + 3)
    assert [token for token, _ in data.vocabulary.tokens] == TOKENS
    vocabulary = data.vocabulary
    assert (vocabulary.first, vocabulary.padding, vocabulary.last, vocabulary.unknown) == (0, 1, 2, 3)
    assert vocabulary.normalization == NORMALIZATION


def test_a_truncated_file_is_refused_wherever_it_ends() -> None:
    content = SmallDataFile().content
    for end in [*range(0, 4000, 7), len(content) - 1]:
        with pytest.raises(ExportError, match=r"^the model's data file is damaged: .*$"):
            DataFile(content[:end])


@pytest.mark.parametrize(
    ("offset", "replacement", "message"),
    [
        (0, b"GGUF", "does not begin with E5S1"),
        (8, struct.pack("<i", -32), "sizes of the model are invalid"),
        (16, struct.pack("<i", 5), "sizes of the model are invalid"),
        (40, struct.pack("<i", 64), "blocks have 64 weights"),
        (44, struct.pack("<i", 10**6), "vocabulary or the id of a special token is invalid"),
        (44, struct.pack("<i", -1), "vocabulary or the id of a special token is invalid"),
        (48, struct.pack("<i", 99), "vocabulary or the id of a special token is invalid"),
        (64, struct.pack("<Q", 2**63), "is truncated after"),
        (76, struct.pack("<I", 2**31), "offsets of its tokens are invalid"),
    ],
)
def test_inconsistent_sizes_are_refused(offset: int, replacement: bytes, message: str) -> None:
    content = SmallDataFile().content
    with pytest.raises(ExportError, match=message):
        DataFile(content[:offset] + replacement + content[offset + len(replacement) :])


def test_another_version_is_refused() -> None:
    with pytest.raises(ExportError, match="has version 2, and only version 1"):
        DataFile(SmallDataFile(version=2).content)


def test_a_tensor_that_is_missing_or_of_another_size_is_refused() -> None:
    data = DataFile(SmallDataFile().content)
    with pytest.raises(ExportError, match=r"no tensor l9\.q\.w"):
        data.tensor("l9.q.w", 32, 32)
    with pytest.raises(ExportError, match=r"tensor l0\.q\.w has 1024 numbers"):
        data.tensor("l0.q.w", 32, 31)
