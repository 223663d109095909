"""The golden texts, on which a bundle is compared with its original.

They were written for this project in Korean and English: from one word to a paragraph, with difficult input for
tokenizers (digits, Latin in Korean, emoji, punctuation).
"""

from __future__ import annotations

from server.encoding.kind import TextKind

QUERIES = [
    "wallet",
    "지갑",
    "where is my refund",
    "환불 언제 들어와요?",
    "how do I turn the heating down at night",
    "밤에 난방 온도 낮추는 법",
    "WIFI 비번 바꾸기",
    "2024년 12월 영수증 3장 다시 뽑아줘",
    "can't log in after the update!!",
    "업데이트하고 나서 로그인이 안돼요ㅠㅠ",
    "book a table for four, Friday 7pm",
    "금요일 저녁 7시 4명 예약",
    "☕ near me",
    "the parcel says delivered but nothing is here",
    "택배가 배송완료라는데 문 앞에 아무것도 없어요",
    "change adress",
    "주소변경하고시픈데",
    "is the museum open on public holidays",
    "공휴일에도 박물관 열어?",
    "cancel my subscription before it renews tomorrow",
    "내일 갱신되기 전에 구독 해지",
    "loud noise from the washing machine when it spins",
    "세탁기 탈수할 때 소리가 너무 커",
    "export all photos of 2019 to a USB stick",
]

DOCUMENTS = [
    "Opening hours",
    "영업시간 안내",
    "Returns are free within thirty days. Keep the receipt and the box; the money is back on your account in three to "
    "five working days.",
    "구매하신 날부터 30일 안에는 무료로 반품할 수 있어요. 영수증과 상자를 보관해 주세요. "
    "환불에는 영업일로 3~5일이 걸려요.",
    "Set a timetable for every room. The heating follows it by itself and lowers the temperature while nobody is home.",
    "방마다 시간표를 정해 두면 난방이 알아서 움직이고, 집에 아무도 없을 때는 온도를 낮춰요.",
    "Membership: what you get, what it costs, and how to leave again at any time.",
    "멤버십 혜택과 요금, 그리고 언제든지 해지하는 방법을 알려 드려요.",
    "The drum must be balanced before it can spin fast. Spread heavy pieces evenly, and check that all four feet stand "
    "firmly on the floor; a machine that walks across the room was never levelled.",
    "도서관 회원증이 있으면 한 번에 다섯 권까지 2주 동안 빌릴 수 있고, 예약이 없는 책은 한 번 더 연장할 수 있어요.",
    "Passwords have at least 12 characters. Three wrong attempts lock the account for ten minutes.",
    "비밀번호는 12자 이상이어야 해요. 세 번 틀리면 10분 동안 로그인이 잠겨요.",
]

GOLDEN_TEXTS: list[tuple[str, TextKind]] = [
    *((text, TextKind.QUERY) for text in QUERIES),
    *((text, TextKind.TEXT) for text in DOCUMENTS),
]
