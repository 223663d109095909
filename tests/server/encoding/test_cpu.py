import pytest

from server.encoding.cpu import cpuinfo, products_saturate


@pytest.mark.parametrize(
    ("machine", "flags", "saturate"),
    [
        ("x86_64", {"avx2", "avx512f", "avx512_vnni"}, False),
        ("x86_64", {"avx2", "avx_vnni"}, False),
        ("x86_64", {"avx2", "avx512f"}, True),
        ("AMD64", set(), True),
        ("aarch64", {"asimd"}, False),
    ],
)
def test_products_saturate_on_x86_without_vnni(machine: str, flags: set[str], saturate: bool) -> None:
    assert products_saturate(machine, frozenset(flags)) == saturate


def test_an_unknown_field_of_cpuinfo_is_empty() -> None:
    assert cpuinfo("no such name") == ""
