import gc
from unittest import mock

from server.rpc import suggest_answers
from server.rpc.suggest_answers import SuggestAnswers
from server.suggest.index import SuggestIndex


def test_an_answer_is_kept_until_the_view_changes() -> None:
    answers, index = SuggestAnswers(), SuggestIndex()
    view = index.view()
    assert answers.get(b"a", view) is None
    answers.keep(b"a", view, b"1")
    answers.keep(b"b", view, b"2")
    assert (answers.get(b"a", view), answers.get(b"b", view)) == (b"1", b"2")
    later = index.view()
    assert answers.get(b"a", later) is None
    answers.keep(b"a", later, b"3")
    assert answers.get(b"a", later) == b"3"
    assert answers.get(b"b", later) is None
    assert answers.get(b"a", view) is None


def test_the_answers_of_a_view_that_is_gone_are_never_returned() -> None:
    answers, index = SuggestAnswers(), SuggestIndex()
    answers.keep(b"a", index.view(), b"1")
    gc.collect()
    assert answers.get(b"a", index.view()) is None


def test_answers_are_bounded() -> None:
    answers, view = SuggestAnswers(), SuggestIndex().view()
    with mock.patch.multiple(suggest_answers, KEPT_BYTES=10, KEPT_ANSWER_BYTES=6, KEPT_ANSWERS=3):
        answers.keep(b"a", view, b"123456")
        assert answers.get(b"a", view) is None, "it is too large"
        for number in range(20):
            key = str(number).encode()
            answers.keep(key, view, b"12")
            assert answers.get(key, view) == b"12"
            assert sum(answers.get(str(each).encode(), view) is not None for each in range(20)) <= 3
