"""Short commands to other apps, and typed nonsense. No threshold, decoy or probe was chosen on them.

They were written by somebody who had not seen the server's probes and decoys.
"""

from __future__ import annotations

OTHER_APPS: dict[str, tuple[str, ...]] = {
    "en": (
        "play some jazz",
        "order a pizza",
        "set a timer for ten minutes",
        "weather tomorrow morning",
        "navigate home",
        "turn off the bedroom lights",
        "translate thank you to spanish",
        "book a table for two tonight",
        "take a selfie",
        "skip this song",
        "bus times near me",
        "qwerty",
        "asdfgh jkl",
        "hello hello test",
        "zzzzzz",
        "aaaa bbb ccc",
    ),
    "ko": (
        "내일 비 와?",
        "짜장면 배달",
        "로또 당첨 번호 알려줘",
        "신나는 노래 틀어줘",
        "십 분 타이머 맞춰줘",
        "강남역 가는 길",
        "영화 예매해줘",
        "불 꺼줘",
        "오늘의 운세",
        "에어컨 온도 낮춰줘",
        "근처 맛집 추천",
        "지하철 막차 시간",
        "사진 찍어줘",
        "손흥민 골 영상",
        "다음 곡",
        "미세먼지 농도",
        "라면 맛있게 끓이는 법",
        "택시 불러",
        "심심해 놀아줘",
        "안녕 반가워",
        "ㅋㅋㅋㅋㅋㅋ",
        "ㅁㄴㅇㄹ",
        "가나다라마바사",
        "아아아 테스트",
    ),
}
