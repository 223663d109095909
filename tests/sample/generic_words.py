# ruff: noqa: SIM905  (lists of quoted words would be hard to read)
"""Words that are too general to distinguish the services of a finance app."""

KOREAN = frozenset(
    """
    가능 갑자 같아 같은 계속 계좌 그거 그냥 그런 나한 내가 너무 누가 누구 다시 다음 대출 되나 때문 많이
    매달 모두 받고 받아 받은 받을 방법 번호 보고 보는 보여 보험 봐줘 사람 사용 세금 싶어 아빠 아이 아직
    안돼 알고 알려 어디 어떤 어떻 언제 얼마 엄마 없는 없어 없이 여기 오늘 왜이 요즘 우리 우선 은행 이거
    이런 이렇 이번 이용 인가 있나 있는 있어 자꾸 저거 전부 전화 조금 주식 지금 지난 친구 카드 통장 투자
    필요 하고 하나 하는 하려 하면 한번 한테 할수 해야 해줘 했는 했어 혹시 회사 휴대
    """.split()
)
"""The first two syllables of the Korean words."""

ENGLISH = frozenset(
    """
    a about account after again all also an and another any anyone app are as at back bank be been before but by can
    card could day days did do does down each every for from get go got had has have he help her here him his how i
    if in insurance into is it its just keep less let loan make many may me might money month more most much my need
    new no not now of off on one only or other our out over pay phone please put say says see she should show so
    some someone something still stock stocks take tax than that the their them then there these they thing this
    those time to too two up use used using very want was way we week were what when where which who why will with
    without would year yes you your
    """.split()
)
"""The English words."""
