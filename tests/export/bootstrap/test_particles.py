import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.bootstrap.synthetic.particles import (
    BY,
    IS,
    OBJECT,
    SUBJECT,
    TOPIC,
    WITH,
    Particle,
    final_of,
    with_particle,
    without_particle,
)

SYLLABLES = st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=2, max_size=8)


@pytest.mark.parametrize(
    ("word", "particle", "expected"),
    [
        ("통장", OBJECT, "통장을"),
        ("카드", OBJECT, "카드를"),
        ("ISA 계좌", SUBJECT, "ISA 계좌가"),
        ("만기 연장", TOPIC, "만기 연장은"),
        ("서울", BY, "서울로"),
        ("집", BY, "집으로"),
        ("카드", BY, "카드로"),
        ("ATM", OBJECT, "ATM을"),
        ("IRP", OBJECT, "IRP를"),
        ("URL", BY, "URL로"),
        ("연금 3", SUBJECT, "연금 3이"),
        ("연금 2", SUBJECT, "연금 2가"),
        ("이름 변경(개명)", WITH, "이름 변경(개명)과"),
        ("대출", IS, "대출이에요"),
        ("…", OBJECT, "…를"),
    ],
)
def test_a_particle_has_the_form_of_the_last_sound(word: str, particle: Particle, expected: str) -> None:
    assert with_particle(word, particle) == expected


@given(SYLLABLES)
def test_the_form_depends_on_whether_the_last_syllable_decomposes_into_three(word: str) -> None:
    import unicodedata

    closed = len(unicodedata.normalize("NFD", word[-1])) == 3
    assert (final_of(word) > 0) is closed
    assert with_particle(word, OBJECT)[-1] == ("을" if closed else "를")
    assert with_particle(word, SUBJECT)[-1] == ("이" if closed else "가")


@given(st.text())
def test_any_text_keeps_its_letters_and_gets_one_of_two_forms(text: str) -> None:
    for particle in (TOPIC, BY):
        assert with_particle(text, particle) in (text + particle.after_consonant, text + particle.after_vowel)


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        *(("통장을", "통장"), ("카드를", "카드"), ("계좌로", "계좌"), ("집으로", "집으로"), ("통장으로", "통장")),
        *(
            ("은행에서", "은행"),
            ("이체한도", "이체한도"),
            ("상담문의", "상담문의"),
            ("어린이", "어린이"),
            ("자전거도로", "자전거도로"),
        ),
        *(("하는", "하는"), ("전문가", "전문가"), ("은", "은"), ("ISA를", "ISA를"), ("가입하는", "가입하는")),
    ],
)
def test_particles_are_taken_off_and_nouns_stay(word: str, stem: str) -> None:
    assert without_particle(word) == stem


@given(SYLLABLES)
def test_a_word_without_particle_is_its_beginning_of_two_syllables_or_more(word: str) -> None:
    stem = without_particle(word)
    assert word.startswith(stem)
    assert stem == word or len(stem) >= 2
