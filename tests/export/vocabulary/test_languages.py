import pytest

from export.vocabulary.languages import kept_characters, parse_languages


def test_codes_are_separated_by_commas_and_counted_once() -> None:
    assert parse_languages(" ko,EN,,ko ") == ("ko", "en")
    assert parse_languages("ko-KR,en_US,en,zh-Hant-TW") == ("ko", "en", "zh")
    assert parse_languages("all") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, "names no language") for text in ("", ",", " , ")),
        *((text, r"unknown code (xx|all); use ar, .*ko.*zh") for text in ("ko,xx", "all,ko")),
    ],
)
def test_wrong_codes_are_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        parse_languages(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "Hello",
        "안녕 ㄱㅏ",
        "\u1112\u1161\u11ab",
        "1,234.5 %",
        "₩€∑→℃",
        "👍🏽👨\u200d👩\u200d👧❤\ufe0f1\ufe0f\u20e3",
        "e\u0301",
        "μmΩ",
        "",
    ],
)
def test_korean_and_english_keep_the_characters_of_their_texts(text: str) -> None:
    assert kept_characters(["ko", "en"]).fullmatch(text)


@pytest.mark.parametrize("text", ["привет", "日本", "かな", "é", "สวัสดี", "γ", "हिन्दी", "a中"])
def test_korean_and_english_keep_no_other_letters(text: str) -> None:
    assert not kept_characters(["ko", "en"]).fullmatch(text)


@pytest.mark.parametrize(
    ("code", "text"), [("ja", "日本のカナー"), ("de", "Straße"), ("vi", "tiếng Việt"), ("ru", "привет")]
)
def test_a_language_adds_its_scripts(code: str, text: str) -> None:
    assert kept_characters([code]).fullmatch(text)
