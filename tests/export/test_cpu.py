import pytest

from export.cpu import PRESETS, cpu_name, default_preset


@pytest.mark.parametrize(
    ("machine", "flags", "preset"),
    [
        ("x86_64", {"avx2", "avx512f", "avx512_vnni"}, "avx512_vnni"),
        ("x86_64", {"avx2", "avx512f"}, "avx512"),
        ("x86_64", {"avx2"}, "avx2"),
        ("AMD64", set(), "avx2"),
        ("aarch64", {"asimd"}, "arm64"),
        ("arm64", set(), "arm64"),
    ],
)
def test_the_cpu_decides_the_preset(machine: str, flags: set[str], preset: str) -> None:
    assert default_preset(machine, frozenset(flags)) == preset


def test_this_cpu_has_a_name_and_a_preset() -> None:
    assert cpu_name()
    assert default_preset() in PRESETS
