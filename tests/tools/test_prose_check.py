from tools.prose_check import WIDTH, banned_phrases, check_phrases, check_width


def test_a_banned_phrase_is_found_across_two_lines_unless_it_is_excused() -> None:
    for phrase, advice in banned_phrases().items():
        first, rest = phrase.capitalize().split(" ", 1)
        assert list(check_phrases(f"Text.\n# {first}\n# {rest}.\n")) == [(2, f"{phrase} ==> {advice}")]
        assert not list(check_phrases(f"{first} {rest} <!-- codespell:ignore -->"))


def test_docstrings_begin_with_a_verb_or_a_noun_phrase() -> None:
    hits = [number for number, _ in check_phrases('a\n"' + '""What is kept."""\n"' + '""Whatever is kept."""')]
    assert hits == [2]


def test_only_prose_of_markdown_is_wrapped() -> None:
    wide = "가" * (WIDTH // 2) + "a"
    assert [number for number, _ in check_width(f"{wide}\n```\n{wide}\n```\n|{wide}|\n[a]({wide})\n{wide[:-1]}")] == [1]
