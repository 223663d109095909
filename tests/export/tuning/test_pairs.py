from export.tuning.pairs import Negative, make_pairs
from server.catalogue.document import Document
from server.encoding.kind import TextKind
from tests.export.evaluation.made import asked

DOCUMENTS = [
    Document(id="a", title={"ko": "카드 분실", "en": "Lost card"}, text="Report it.", examples=["지갑을 잃어버렸어"]),
    Document(id="b", title="카드  분실!"),
    Document(id="c", examples=["where is my card"]),
]


def test_an_epoch_takes_another_text_of_the_document() -> None:
    (pair,) = make_pairs([asked("lost my card", "a")], DOCUMENTS, title_separator=None)
    texts = [pair.answer(epoch) for epoch in range(4)]
    assert texts[:3] == [("카드 분실", TextKind.TITLE), ("Lost card", TextKind.TITLE), ("Report it.", TextKind.TEXT)]
    assert texts[3] == texts[0]


def test_labels_of_a_document_begin_with_different_texts() -> None:
    pairs = make_pairs([asked(f"query {number}", "a") for number in range(3)], DOCUMENTS, title_separator=None)
    assert len({pair.answer(0) for pair in pairs}) == 3


def test_a_document_with_examples_only_answers_with_them() -> None:
    (pair,) = make_pairs([asked("card?", "c")], DOCUMENTS, title_separator=None)
    assert pair.answers == (("where is my card", TextKind.EXAMPLE),)


def test_documents_with_the_same_title_are_one_group() -> None:
    pairs = make_pairs([asked("lost", "a"), asked("분실", "b"), asked("x", "a", "c")], DOCUMENTS, title_separator=None)
    assert [sorted(pair.relevant) for pair in pairs] == [["a"], ["a"], ["a", "c"], ["a", "c"]]


def test_a_query_has_its_hard_negatives() -> None:
    negative = Negative(("Lost card", TextKind.TITLE), "a")
    pairs = make_pairs([asked("x", "c"), asked("y", "c")], DOCUMENTS, title_separator=None, negatives={"y": [negative]})
    assert [pair.negatives for pair in pairs] == [(), (negative,)]
