from pathlib import Path

from benchmarks.feedback.measuring import Result, measure
from benchmarks.feedback.simulating import USERS, clicks
from export.labelled_queries import LabelledQuery
from export.quality.corpus import Corpus
from server.catalogue.document import Document
from server.encoding.bundle import Bundle
from server.feedback.learning import Measured

DOCUMENTS = [Document(id=id, title=title) for id, title in (("card", "card lost"), ("rate", "exchange rate"))]


def asked(query: str, *relevant: str) -> LabelledQuery:
    return LabelledQuery(query=query, language="en", relevant=list(relevant))


TRAIN = [asked(f"wallet {number}", "card") for number in range(40)]


def test_most_clicks_are_on_the_answer_and_no_user_asks_too_much() -> None:
    events = list(clicks(TRAIN, DOCUMENTS, seed=1))
    assert len(events) == USERS * len(TRAIN)
    right = sum(event.document_id == "card" for event in events)
    assert 0.8 < right / len(events) < 1
    assert events == list(clicks(TRAIN, DOCUMENTS, seed=1))
    assert len({(event.search_id, event.user_key) for event in events}) == len(events)


def test_what_is_learnt_is_counted_and_measured(tmp_path: Path, tiny_bundle: Path) -> None:
    reported = Corpus("dev", DOCUMENTS, [asked("wallet gone", "card"), asked("both", "card", "rate"), TRAIN[1]])
    train = Corpus("train", DOCUMENTS, TRAIN)
    few, many = measure(Bundle(tiny_bundle), reported, train, counts=[2, 40], seed=0, folder=tmp_path)
    assert few.questions == 2
    assert few.learnt <= 2
    assert many.questions == len(TRAIN) - 1, "a question that is reported has no feedback"
    assert many.learnt > 10 * many.wrong
    assert set(many.before) == set(many.after) == {"dense", "hybrid"}
    assert all(value in (0, 0.5, 1) for value in (*many.before.values(), *many.after.values())), "two have one answer"


def test_a_loss_is_missed_only_if_learn_accepts_the_examples() -> None:
    better, worse = {"dense": 0.6, "hybrid": 0.8}, {"dense": 0.6, "hybrid": 0.78}
    accepted, refused = Measured(9, worse, better), Measured(9, better, worse)
    lost = Result(questions=9, learnt=9, wrong=0, held_out=accepted, before=better, after=worse)
    assert lost.missed == ["hybrid R@1 falls from 0.800 to 0.780"]
    assert not lost._replace(held_out=refused).missed
    assert not lost._replace(after=better).missed
