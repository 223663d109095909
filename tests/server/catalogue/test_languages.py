import pytest

from server.catalogue.languages import best_language, canonical_language, is_in_language


@pytest.mark.parametrize(
    ("wanted", "available", "best"),
    [
        ("en", ["ko", "en"], "en"),
        ("EN", ["ko", "en"], "en"),
        ("en-US", ["ko", "en"], "en"),
        ("ko_KR", ["en", "ko"], "ko"),
        ("en", ["ko", "en-US"], "en-US"),
        ("en", ["en-US", "en"], "en"),
        ("en-GB", ["ko", "en-US", "en"], "en"),
        ("en-GB", ["ko", "en-US"], "en-US"),
        ("zh-Hant-TW", ["zh", "zh-Hans", "zh-Hant"], "zh-Hant"),
        ("zh-Hant-x-private1", ["zh-Hant-x-other", "zh-Hant"], "zh-Hant"),
        ("en", ["EN-us", "eng"], "EN-us"),
        ("ko", ["kok", "", "en"], None),
        ("", ["ko", ""], ""),
        ("", ["ko"], None),
        ("not a code!", ["ko"], None),
        ("en-US", [], None),
    ],
)
def test_the_best_language_is_the_nearest_by_bcp_47(wanted: str, available: list[str], best: str | None) -> None:
    assert best_language(wanted, available) == best


def test_a_code_in_the_same_notation_wins() -> None:
    assert best_language("en_us", ["en-US", "en_us"]) == "en_us"
    assert canonical_language(" en_US ") == canonical_language("EN-us")


@pytest.mark.parametrize(
    ("language", "code", "expected"),
    [
        ("ko", "ko", True),
        ("ko", "KO_kr", True),
        ("ko-kr", "ko", False),
        ("ko", "kok", False),
        ("", "ko", True),
        ("", "", True),
        ("ko", "", False),
    ],
)
def test_a_code_is_in_each_language_that_it_is_a_part_of(language: str, code: str, expected: bool) -> None:
    assert is_in_language(language, code) == expected
