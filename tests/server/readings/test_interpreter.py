import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.korean.keyboard import as_english, as_korean
from server.readings.interpreter import Interpreter
from server.readings.reading import Kind, Reading
from tests.server.readings.making import Texts

SAMPLE = Path(__file__).resolve().parents[3] / "sample" / "catalogue.jsonl"
DOCUMENTS = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
TITLES = [document["title"][language] for document in DOCUMENTS for language in ("ko", "en")]
EXAMPLES = [example for document in DOCUMENTS for example in document["examples"]]

interpreter = Interpreter(Texts([*TITLES, *EXAMPLES]))
QUERIES = st.text(
    st.one_of(st.sampled_from("카드분실 ㅋㄷㅏㅠzkemAZ19@.-!\u1103\ud800🙂é"), st.characters()), max_size=40
)

ENGLISH = """
how do I get my money back
when they work today
send it to them
go to the shop
do so
who did it
am I right
foreign tutorials
this fiduciary is sufficient
theory of quantity
vitamin c
plan b
work s
them
than
virtual theory
tutorials for right authority
did the dog eat it
then such signal
so far so good
right with them
fork the code
tax forms
got it
top up
work
""".strip().splitlines()

CODES = """
A1-B2
SKU12345
sku12345
iPhone15
rkskek123!
Zkem!2024qw
iPHONE
eTRADE
SK증권계좌
sk증권계좌
toss카드
QR코드
신용카드do
dkssudA1!
zkem123
x7Gk29PqZ
20dbco
15chfjt
34zyajf
ROTL
dptjxmdgbx
rhvsnxmrktyvajr
zkem@qnstlf.com
https://zkem.com/qnstlf
www.zkem.kr
B2B ERP v2.0
C++
""".strip().splitlines()

KOREAN = """
카드를 어디에 뒀는지 모르겠어요
이 돈 왜 안 와
돈 좀 줘
어제 산 거 취소해 주세요
비번 까먹었어
폰이 물에 빠졌어 ㅠㅠ
이거 뭐야ㅋㅋ
ㅋㅋㅋㅋ
ㅠㅠ 어떡해 ㅜㅜ 폰이 안 켜져
ㅎㅎ
ㅠㅜ
ㅇㅇ
ㄴㄴ
수술
대화
은행을
카드 좀
카드 분실
카드분실신고어디서해
""".strip().splitlines()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("zkem qnstlf", "카드 분실"),
        ("dlcpgkseh", "이체한도"),
        ("ghkswjs", "환전"),
        ("wlrkqdmf dlfgdjqjfutj zkem wjdwl?", "지갑을 잃어버려서 카드 정지?"),
        ("카드 qnstlf", "카드 분실"),
        ("PDF qnstlf", "PDF 분실"),
        ("card qnstlf", "card 분실"),
        ("ZKEM QNSTLF", "카드 분실"),
        ("Zkem qnstlf", "카드 분실"),
        ("qKFMS THDRMA", "빠른 송금"),
        ("tjsqnfzkem q", "선불카드 발급"),
        ("tmznfqo", "스쿨뱅킹 등록"),
        ("Tlsdyd zkem", "신용 카드"),
        ("tlsdyde", "신용대출"),
        ("Qkfms thdrma", "빠른 송금"),
        ("zkem qnstl", "카드 분실 신고"),
        ("ㅊㅁㄱㅇ ㅣㅑㅡㅑㅅ", "card limit"),
        ("ㄱ데ㅐㄱㅅ ㅁ ㄴ새ㅣ두 ㅊㅁㄱㅇ", "report a stolen card"),
        ("카드 ㅣㅑㅡㅑㅅ", "카드 limit"),
        ("ｚｋｅｍ ｑｎｓｔｌｆ", "카드 분실"),
        ("DpDIR THDRMA", "예약 송금"),
        ("RpWHK QUFAUD", "계좌 별명"),
        ("Rma xnwk", "금 투자"),
        ("rma 투자", "금 투자"),
        ("zkem qnstlf~", "카드 분실~"),
        ("ㅊㅁㄱㅇ", "card"),
        ("ㅅㅁㅌ ㄱㄷ려ㅜㅇ", "tax refund"),
        ("카드qnstlf", "카드 분실"),
        ("ZKEM", "카드"),
        ("EOCNF", "대출"),
        ("ＺＫＥＭ", "카드"),
        ("TNADMS RPWHK", "숨은 계좌"),
        ("Thdrma", "송금"),
        ('"zkem"', "카드"),
        ("zkem😭", "카드"),
        ("zkem ㅋㅋ", "카드"),
        ("zkem qnstlfㅠㅠ", "카드 분실"),
        ("zkem분실 신고", "카드 분실 신고"),
    ],
)
def test_text_typed_on_the_other_layout_is_read(typed: str, meant: str) -> None:
    assert interpreter.interpret(typed) == Reading(meant, Kind.KEYBOARD)


@pytest.mark.parametrize("typed", ["IRP", "ISA", "ETF", "CMA", "SKT", "KB", "OTP", "SKT 요금", "THEM", "WORK", "MONEY"])
def test_capitals_that_are_words_of_no_catalogue_stay(typed: str) -> None:
    assert interpreter.interpret(typed) is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("ㅜ빵", "n빵"), ("ㅜ빵 계산", "n빵 계산"), ("nQkd", "n빵"), ("NQkd", "n빵"), ("ㅜ빵?", "n빵?")],
)
def test_a_word_of_both_scripts_that_was_typed_on_one_layout_is_read(typed: str, meant: str) -> None:
    assert Interpreter(Texts(["n빵"])).interpret(typed) == Reading(meant, Kind.KEYBOARD)
    assert Interpreter(Texts(["나빵"])).interpret(typed) is None


@pytest.mark.parametrize("word", ["google", "atm", "card", "tax rate"])
def test_an_english_word_whose_keys_may_be_korean_is_read_if_the_catalogue_has_it(word: str) -> None:
    typed = as_korean(word)
    assert Interpreter(Texts(["카드"])).interpret(typed) is None
    assert Interpreter(Texts([f"my {word}"])).interpret(typed) == Reading(word, Kind.KEYBOARD)


@pytest.mark.parametrize("text", ["hello", "hello world", "insurance", "money?", "apple juice", "history", "hi"])
def test_english_words_whose_keys_are_no_korean_need_no_other_evidence(text: str) -> None:
    assert Interpreter(Texts(["카드"])).interpret(as_korean(text)) == Reading(text, Kind.KEYBOARD)


@pytest.mark.parametrize(
    "text", ["ㅇㅓㄷㅣ", "ㄷㅐㅊㅜㄹ", "ㅗㅓㅏㅣ", "ㅗㅜㅑ", "ㅂㅈㄷㄱ쇼ㅕㅑ", "ㅏㅣ", "ㅜㅡㅜ", "아ㅣㅣ"]
)
def test_jamo_that_are_no_english_stay(text: str) -> None:
    assert Interpreter(Texts(["카드"])).interpret(text) is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (as_english("제주도 감귤 농장에서 여름 휴가"), "제주도 감귤 농장에서 여름 휴가"),
        (as_korean("rainy weather over the mountains"), "rainy weather over the mountains"),
    ],
)
def test_a_long_text_needs_less_evidence(typed: str, meant: str) -> None:
    assert interpreter.interpret(typed) == Reading(meant, Kind.KEYBOARD)


@pytest.mark.parametrize("typed", ["ehRoql", "dho dkdho", "qpswl"])
def test_korean_words_that_are_far_from_the_catalogue_are_not_read(typed: str) -> None:
    assert interpreter.interpret(typed) is None


@pytest.mark.parametrize("keys", ["zkem", "dogh"])
def test_what_the_catalogue_has_stays_although_it_has_another_reading(keys: str) -> None:
    korean = as_korean(keys)
    assert Interpreter(Texts([korean])).interpret(keys) == Reading(korean, Kind.KEYBOARD)
    assert Interpreter(Texts([korean, keys])).interpret(keys) is None
    assert Interpreter(Texts(["카드", "ㅋㄷ"])).interpret("ㅋㄷ") is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ㅋㄷ ㅂㅅ", "카드 분실 신고"),
        ("ㅈㄷㅇㅊ", "자동이체"),
        ("ㅎㅇㅅㄱ", "해외송금"),
        ("ㅁㅇㄴㅅㅌㅈ", "마이너스통장"),
        ("ㅇㅁㅈㅅ ㅁㄹㅂㄱ", "연말정산 미리보기"),
        ("ㄱㅈ ㅈㅇ ㅇㄴ", "공지·장애 안내"),
        ("ㅊㅂㅂㄱ", "주민등록등본·초본 발급"),
        ("ㅋㄷㄱ ㅇㅂㅁ ㄴㄱ ㄹㅂㅂ", "카드값 일부만 내기(리볼빙)"),
        ("ﾻﾧ ﾲﾵ", "카드 분실 신고"),
        ("ㅋㄷㅄ", "카드 분실 신고"),
        ("ㅋㄷㅂㅅ!", "카드 분실 신고"),
        ("ㅋㄷㅂㅅ ㅠㅠ", "카드 분실 신고"),
        ("ㅋㅋ ㅋㄷㅂㅅㅎㅎ", "카드 분실 신고"),
        ("“ㅋㄷㅂㅅ”", "카드 분실 신고"),
        ("ㄹㅂㅂ", "리볼빙"),
    ],
)
def test_initials_are_read_as_the_words_that_the_catalogue_begins_with_them(typed: str, meant: str) -> None:
    assert interpreter.interpret(typed) == Reading(meant, Kind.INITIALS)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("신용ㄷ", "신용대출"),
        ("신용댗", "신용대출"),
        ("카드 ㅂ", "카드 분실 신고"),
        ("카드 ㅂㅅ", "카드 분실 신고"),
        ("카드 ㅄ", "카드 분실 신고"),
        ("신용ㄷ?", "신용대출"),
        ("카드 분시", "카드 분실 신고"),
        ("카", "카드"),
        ("카드 분실 ㅇ", "카드 분실"),
        ("신붅", "신분증"),
        ("건강보험료 조회 ㄴ", "건강보험료 조회·납부"),
    ],
)
def test_an_unfinished_text_is_finished(typed: str, meant: str) -> None:
    assert interpreter.interpret(typed) == Reading(meant, Kind.UNFINISHED)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("칻드 분실", "카드 분실"),
        ("ㅋ다ㅡ 한도 변경", "카드 한도 변경"),
        ("ATM 카ㅡ", "ATM 카드"),
        ("오ㅡㄹ 하늘 봐", "오늘 하늘 봐"),
        ("ㅋㅏㄷㅡ ㅂㅜㄴㅅㅣㄹ", "카드 분실"),
        ("카ㄷㅡ 한도", "카드 한도"),
    ],
)
def test_a_word_that_is_written_like_no_word_is_corrected(typed: str, meant: str) -> None:
    assert interpreter.interpret(typed) == Reading(meant, Kind.TYPO)


@pytest.mark.parametrize(
    "slang", ["ㅁㅊ", "ㅇㅋ", "ㄲㅈ", "ㅎㄷㄷ", "ㄱㅅ", "ㅅㅂ", "ㅊㅋ", "ㅈㅅ", "ㄷㄷ", "ㅂㅅ", "ㅄ"]
)
def test_slang_of_chats_stays_unless_a_title_has_these_initials(slang: str) -> None:
    assert interpreter.interpret(slang) is None
    assert interpreter.interpret(f"{slang}!!") is None


def test_a_title_with_the_initials_of_slang_is_read() -> None:
    assert Interpreter(Texts(["체크 카드", "체 크"])).interpret("ㅊㅋ") == Reading("체 크", Kind.INITIALS)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("카 드 분  실", "카드분실"),
        ("대 출", "대출"),
        ("카드 분 실", "카드 분실"),
        ("카 드분 실", "카드 분실"),
        ("카  드\u3000분실", "카드 분실"),
        ("마이너 스통장", "마이너스통장"),
        ("카 드 분 실?", "카드분실?"),
    ],
)
def test_words_that_spaces_divide_are_joined(typed: str, meant: str) -> None:
    assert interpreter.interpret(typed) == Reading(meant, Kind.SPACES)


@pytest.mark.parametrize("text", ["카드값 안 내", "내 차", "이 자동차", "쓸 수 있나요", "신용 대출", "카드 좀"])
def test_words_of_their_own_are_not_joined(text: str) -> None:
    assert (
        Interpreter(Texts(["안내", "이자", "내차량", "신용 대출", "신용대출", "쓸수록", "카드값", "카드"])).interpret(
            text
        )
        is None
    )


@pytest.mark.parametrize("query", [*ENGLISH, *CODES, *KOREAN, *TITLES, *EXAMPLES])
def test_ordinary_queries_stay(query: str) -> None:
    assert interpreter.interpret(query) is None
    assert interpreter.interpret(f"  {query} ") is None


def test_spaces_alone_are_no_reading() -> None:
    assert interpreter.interpret("카드  분실") is None
    assert interpreter.interpret("lost  card") is None


@pytest.mark.parametrize("title", [each for each in TITLES if re.fullmatch("[가-힣0-9 ]+", each)])
def test_every_korean_title_is_read_from_its_keys(title: str) -> None:
    assert interpreter.interpret(as_english(title)) == Reading(title, Kind.KEYBOARD)


@pytest.mark.parametrize("title", [each for each in TITLES if re.fullmatch("[A-Za-z' ]+", each)])
def test_every_english_title_is_read_from_its_keys(title: str) -> None:
    assert interpreter.interpret(as_korean(title.lower())) == Reading(title.lower(), Kind.KEYBOARD)


@settings(deadline=None)
@given(QUERIES)
def test_a_reading_is_another_text(text: str) -> None:
    reading = interpreter.interpret(text)
    assert reading is None or (reading.text and reading.text != text)
    assert interpreter.interpret(unicodedata.normalize("NFC", text)) == reading


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "\u3000",
        "ㅋ" * 1000,
        "ㅋㄷ" * 500,
        "ㅋㄷ ㅂㅅ " * 100,
        "카ㅏㄷ ㅋ드zㅏ",
        "zkem ㅋㄷ 카드 card 🙂",
        "ㅋ🙂ㄷ",
        "\ud800zkem",
        "ㅏㅏㅏ",
        "ㅏ ㅏ ㅏ ㅏ",
        "카ㅏ 카ㅏ 카ㅏ",
        "\u1160\u11a8",
    ],
)
def test_text_that_nobody_means_stays(text: str) -> None:
    assert interpreter.interpret(text) is None


def test_an_ordinary_query_asks_little_or_nothing_of_the_vocabulary() -> None:
    texts = Texts([*TITLES, *EXAMPLES])
    asked = Interpreter(texts)
    for query in ("how do I cancel my card", "신용카드를 새로 만들려면 어떤 조건이 있는지 궁금해요", "lost card"):
        asked.interpret(query)
    assert texts.calls == 0
    asked.interpret("카드 분실")
    assert texts.calls <= 2


@pytest.mark.parametrize(
    "text", ["rk " * 42, "ㅏ " * 64, "카ㅏ " * 40, "가 " * 64, "workrk" * 20, "A" * 384, "zkem tlsrh " * 11]
)
def test_no_query_asks_much_of_the_vocabulary(text: str) -> None:
    texts = Texts([*TITLES, *EXAMPLES])
    Interpreter(texts).interpret(text)
    assert texts.calls <= 12
