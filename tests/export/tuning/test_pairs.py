from export.tuning.pairs import Negative, make_pairs
from server.catalogue.document import Document
from server.encoding.kind import TextKind
from tests.export.evaluation.made import asked

DOCUMENTS = [
    Document(id="a", title={"ko": "카드 분실", "en": "Lost card"}, text="Report it.", examples=["지갑을 잃어버렸어"]),
    Document(id="b", title="카드  분실!"),
    Document(id="c", examples=["where is my card"]),
]


OWN = {("카드 분실", TextKind.TITLE), ("Lost card", TextKind.TITLE), ("Report it.", TextKind.TEXT)}


def test_epochs_take_texts_of_the_document_in_turn_with_its_other_queries() -> None:
    labels = [asked("lost my card", "a"), asked("card gone", "a"), asked("other", "c")]
    pairs = make_pairs(labels, DOCUMENTS, title_separator=None)
    for pair in pairs[:2]:
        answers = [pair.answer(epoch) for epoch in range(6)]
        others = {("지갑을 잃어버렸어", TextKind.EXAMPLE), *((each.text, TextKind.EXAMPLE) for each in labels[:2])}
        others.remove((pair.query[0], TextKind.EXAMPLE))
        halves = {answers[::2][0] in OWN: answers[::2], answers[1::2][0] in OWN: answers[1::2]}
        assert set(halves[True]) == OWN
        assert set(halves[False]) == others
        assert pair.answer(6) == pair.answer(0)


def test_labels_of_a_document_begin_with_different_texts() -> None:
    pairs = make_pairs([asked(f"query {number}", "a") for number in range(6)], DOCUMENTS, title_separator=None)
    first = [pair.answer(0) for pair in pairs]
    assert set(first[::2]) == OWN
    assert {kind for _, kind in first[1::2]} == {TextKind.EXAMPLE}


def test_a_single_label_has_the_texts_of_its_document() -> None:
    (pair,) = make_pairs([asked("분실", "b")], DOCUMENTS, title_separator=None)
    assert pair.answers == (("카드  분실!", TextKind.TITLE),)


def test_a_document_with_examples_only_answers_with_them() -> None:
    (pair,) = make_pairs([asked("card?", "c")], DOCUMENTS, title_separator=None)
    assert set(pair.answers) == {("where is my card", TextKind.EXAMPLE)}


def test_documents_with_the_same_title_are_one_group() -> None:
    pairs = make_pairs([asked("lost", "a"), asked("분실", "b"), asked("x", "a", "c")], DOCUMENTS, title_separator=None)
    assert [sorted(pair.relevant) for pair in pairs] == [["a"], ["a"], ["a", "c"], ["a", "c"]]


def test_a_query_has_its_hard_negatives() -> None:
    negative = Negative(("Lost card", TextKind.TITLE), "a")
    pairs = make_pairs([asked("x", "c"), asked("y", "c")], DOCUMENTS, title_separator=None, negatives={"y": [negative]})
    assert [pair.negatives for pair in pairs] == [(), (negative,)]
