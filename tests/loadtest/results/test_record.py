import grpc
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.codes import CODES, OK, REFUSED
from loadtest.results.record import COLUMNS, DTYPE, PACKER

VALUES = {
    "i8": st.integers(-(2**63), 2**63 - 1),
    "i4": st.integers(-(2**31), 2**31 - 1),
    "u4": st.integers(0, 2**32 - 1),
    "u2": st.integers(0, 2**16 - 1),
    "u1": st.integers(0, 255),
    "i1": st.integers(-128, 127),
    "f4": st.floats(width=32),
}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(*(VALUES[kind] for _, kind, _ in COLUMNS)), max_size=4))
def test_numpy_reads_what_struct_packs(rows: list[tuple[float, ...]]) -> None:
    array = np.frombuffer(b"".join(PACKER.pack(*row) for row in rows), dtype=DTYPE)
    assert len(array) == len(rows)
    for column, (name, kind, _) in enumerate(COLUMNS):
        expected = np.array([row[column] for row in rows], dtype=f"<{kind}")
        np.testing.assert_array_equal(array[name], expected)


def test_the_codes_have_grpcs_numbers() -> None:
    by_number = {code.value[0]: code.name for code in grpc.StatusCode}
    assert list(CODES) == [by_number[number] for number in range(len(by_number))]
    assert (OK, REFUSED) == (0, 8)
