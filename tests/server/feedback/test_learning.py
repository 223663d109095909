"""Tests that feedback of a store becomes example queries, measured, once, and reversibly."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from server.catalogue.database import locked
from server.catalogue.document import Document, Field
from server.catalogue.feedback import Event, FeedbackKind, FeedbackLog
from server.catalogue.rules import RuleKind
from server.catalogue.store import Store
from server.commands import run
from server.encoding.bundle import Bundle
from server.encoding.cutting import Cutting
from server.errors import LearningRefused, SettingsError, StoreError
from server.feedback.learning import Learner
from server.feedback.policy import Policy
from server.feedback.trial import Question, Trial
from server.live.index import FIELDS
from server.merchandising.rule import Rule as MerchandisingRule
from server.synonyms.rule import Rule
from tests.server.making import versioned

TITLES = {"card": "카드 분실 신고", "loan": "전세 대출", "rate": "환율 조회"}
QUERY = "지갑 잃어버렸어"
PARAPHRASES = [f"지갑 잃어버렸어 {ending}" for ending in ("요", "어떡해", "도와줘", "급해", "ㅠㅠ", "진짜")]


def clicks(query: str, id: str = "card", users: str = "12", kind: FeedbackKind = FeedbackKind.CLICKED) -> list[Event]:
    return [Event(f"{query} {user} {id}", query, id, kind, user, 3) for user in users]


@pytest.fixture
def data(tmp_path: Path, bundle: Bundle) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    with contextlib.closing(Store(directory, durable=False)) as store, store.write() as transaction:
        for id, title in TITLES.items():
            document = Document(id=id, title=title, text=f"{title} 안내", examples=[f"{title} 방법"])
            vectors = versioned(bundle, document, 0).vectors
            assert vectors is not None
            transaction.put(document, vectors, revision=bundle.manifest.revision)
    return directory


def record(data: Path, *events: Event) -> None:
    with contextlib.closing(Store(data, durable=False)) as store:
        FeedbackLog(store).record([events])


def learn(data: Path, bundle: Bundle, *options: str) -> None:
    run(["learn", "--data", str(data), "--bundle", str(bundle.directory), *options])


def examples(data: Path, id: str = "card") -> list[str]:
    with contextlib.closing(Store(data, serving=False)) as store:
        stored = store.get(id)
        assert stored is not None
        return stored.document.examples


OWN = ["카드 분실 신고 방법"]


def test_a_confirmed_query_becomes_an_example_once_and_can_be_undone(
    data: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    record(data, *clicks(QUERY), *clicks("대출", "loan", "1"))
    learn(data, bundle, "--dry-run")
    assert f"+ {QUERY}" in capsys.readouterr().out
    assert examples(data) == OWN
    for added in (1, 0):
        learn(data, bundle)
        assert f"{added} added, 0 taken away" in capsys.readouterr().out
        assert examples(data) == [*OWN, QUERY]
    assert examples(data, "loan") == ["전세 대출 방법"]
    with contextlib.closing(Store(data)) as store:
        store.verify()
        (promotion,) = FeedbackLog(store).promotions()
        assert promotion[:3] == ("card", QUERY, 2)
        vectors = store.versioned(["card"], bundle.manifest.revision)["card"].vectors
        stored = store.get("card")
        assert vectors is not None
        assert stored is not None
        expected = versioned(bundle, stored.document, 0).vectors
        assert expected is not None
        np.testing.assert_array_equal(vectors.spans, expected.spans)
        np.testing.assert_array_equal(vectors.matrix, expected.matrix)
    learn(data, bundle, "--undo")
    assert examples(data) == OWN
    with contextlib.closing(Store(data)) as store:
        assert FeedbackLog(store).promotions() == []


def test_what_is_learnt_is_stored_for_the_passages_of_the_server(data: Path, tiny_bundle: Path) -> None:
    bundle = Bundle(tiny_bundle, cutting=Cutting(4, 0))
    record(data, *clicks(QUERY))
    learn(data, bundle, "--passage-tokens", "4", "--passage-overlap-tokens", "0")
    with contextlib.closing(Store(data)) as store:
        stored = store.versioned(["card"], bundle.manifest.revision)["card"]
    assert stored.document.examples == [*OWN, QUERY]
    assert stored.vectors is not None
    expected = versioned(bundle, stored.document, 0).vectors
    assert expected is not None
    np.testing.assert_array_equal(stored.vectors.spans, expected.spans)
    np.testing.assert_array_equal(stored.vectors.matrix, expected.matrix)


def test_feedback_without_a_confirmed_query_measures_nothing(
    data: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    record(data, *clicks(QUERY, users="1"))
    learn(data, bundle)
    assert capsys.readouterr().out == (
        "no query is confirmed yet: 2 users must agree on its document\n"
        "example queries: 0 added, 0 taken away; documents changed: 0\n"
    )
    assert examples(data) == OWN


def test_feedback_that_has_expired_takes_no_example_away(data: Path, bundle: Bundle) -> None:
    record(data, *clicks(QUERY))
    learn(data, bundle)
    with contextlib.closing(Store(data)) as store:
        FeedbackLog(store).erase_before(2**40)
    learn(data, bundle)
    assert examples(data) == [*OWN, QUERY]


def test_an_example_that_users_doubt_is_taken_away(data: Path, bundle: Bundle) -> None:
    record(data, *clicks(QUERY))
    learn(data, bundle)
    record(data, *clicks(QUERY, users="1234", kind=FeedbackKind.REJECTED))
    learn(data, bundle)
    assert examples(data) == OWN


def test_a_document_of_examples_keeps_its_last_one(data: Path, bundle: Bundle) -> None:
    record(data, *clicks(QUERY))
    learn(data, bundle)
    with contextlib.closing(Store(data)) as store, store.write() as transaction:
        document = Document(id="card", examples=[QUERY])
        vectors = versioned(bundle, document, 0).vectors
        assert vectors is not None
        transaction.put(document, vectors, revision=bundle.manifest.revision)
    learn(data, bundle, "--undo")
    assert examples(data) == [QUERY]


def test_documents_that_the_bundle_has_not_encoded_are_measured(data: Path, other_bundle: Path) -> None:
    record(data, *clicks(QUERY))
    for options in (["--dry-run"], []):
        run(["learn", "--data", str(data), "--bundle", str(other_bundle), *options])
    assert examples(data) == [*OWN, QUERY]


def test_examples_of_people_are_never_taken_away(data: Path, bundle: Bundle) -> None:
    record(data, *clicks(OWN[0]), *clicks(OWN[0], users="3456", kind=FeedbackKind.REJECTED))
    learn(data, bundle)
    learn(data, bundle, "--undo")
    assert examples(data) == OWN


def test_a_document_learns_a_bounded_number_of_queries(data: Path, bundle: Bundle) -> None:
    record(data, *(event for query in PARAPHRASES for event in clicks(query)))
    learn(data, bundle, "--max-examples", "2")
    assert len(examples(data)) == 3
    learn(data, bundle, "--max-examples", "2")
    assert len(examples(data)) == 3


@pytest.mark.parametrize("query", ["zkem qnstlf", "카드 분실 신고", "카드 분실 신고 방법?", "ㅋㄷ ㅂㅅ"])
def test_slips_and_what_a_document_has_already_are_not_learnt(data: Path, bundle: Bundle, query: str) -> None:
    record(data, *clicks(query))
    learn(data, bundle)
    assert examples(data) == OWN


def test_deleted_documents_and_queries_without_tokens_are_passed_over(data: Path, bundle: Bundle) -> None:
    record(data, *clicks(QUERY, "loan"), *clicks(QUERY + "요"), *clicks("🏧"))
    with contextlib.closing(Store(data)) as store, store.write() as transaction:
        transaction.delete("loan")
    learn(data, bundle)
    assert QUERY + "요" in examples(data)


def test_nothing_is_learnt_from_nothing(data: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    learn(data, bundle)
    assert "no query is confirmed yet" in capsys.readouterr().out
    learn(data, bundle, "--undo")


@contextlib.contextmanager
def learner(data: Path, bundle: Bundle, tmp_path: Path) -> Iterator[Learner]:
    with contextlib.closing(Store(data, serving=False)) as store:
        made = Learner(store, bundle, Policy(), folder=tmp_path)
        with contextlib.closing(made):
            yield made


def test_held_out_queries_measure_what_similar_ones_teach(data: Path, bundle: Bundle, tmp_path: Path) -> None:
    record(data, *(event for query in PARAPHRASES for event in clicks(query, "rate")))
    with learner(data, bundle, tmp_path) as made:
        measured = made.measure()
    assert measured.questions == len(PARAPHRASES)
    assert measured.after["dense"] == 1 > measured.before["dense"]
    learn(data, bundle)
    with learner(data, bundle, tmp_path) as made:
        again = made.measure()
    assert again.before == again.after == measured.after, "a query that was learnt earlier is held out as well"


def test_the_measured_documents_are_as_stored_afterwards(data: Path, bundle: Bundle, tmp_path: Path) -> None:
    record(data, *(event for query in PARAPHRASES for event in clicks(query)))
    with learner(data, bundle, tmp_path) as made:
        made.measure()
        made.trial.search_with({})
        state = made.trial.state
        assert sorted(state.ids[slot] for slot in np.flatnonzero(state.slots.live).tolist()) == sorted(TITLES)
        assert state.live_vectors == 3 * len(TITLES)


def test_earlier_tries_do_not_change_the_weights_of_words(data: Path, bundle: Bundle, tmp_path: Path) -> None:
    record(data, *(event for query in PARAPHRASES for event in clicks(query)))
    with learner(data, bundle, tmp_path) as made:
        before = made.trial.state.lexical.search(QUERY, limit=9).scores.tolist()
        made.measure()
        made.trial.search_with({})
        assert made.trial.state.lexical.search(QUERY, limit=9).scores.tolist() == before


def test_questions_are_searched_with_synonyms_and_rules_and_weights(data: Path, bundle: Bundle, tmp_path: Path) -> None:
    synonym = Rule.parse("ㄱㅂㅅ -> 환율 조회")
    assert synonym is not None
    pin = MerchandisingRule(id="pin", query="달러", pinned_ids=("loan",))
    record(data, *clicks(QUERY))
    with contextlib.closing(Store(data, durable=False)) as store, store.write() as transaction:
        transaction.put_rule(RuleKind.SYNONYM, synonym.id, synonym.text.encode())
        transaction.put_rule(RuleKind.MERCHANDISING, pin.id, pin.content)
    with learner(data, bundle, tmp_path) as made:
        assert made.trial.right([Question("ㄱㅂㅅ", "rate")]) == {"dense": 1, "hybrid": 1}
        assert made.trial.right([Question("달러", "loan")]) == {"dense": 1, "hybrid": 1}
    with contextlib.closing(Store(data, serving=False)) as store:
        trial = Trial(store, bundle, folder=tmp_path, weights={Field.EXAMPLE: 0.5})
        with contextlib.closing(trial):
            assert trial.state.weights[FIELDS.index(Field.EXAMPLE)] == 0.5


def test_what_makes_hits_worse_is_refused_and_changes_nothing(
    data: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    # The second query is nearly the first, and an example of another document.
    record(data, *clicks("카드 분실 신고 접수"), *clicks("카드 분실 신고 접수 요", "rate"))
    with pytest.raises(LearningRefused, match="R@1 of held-out queries falls in dense: nothing was changed"):
        learn(data, bundle)
    assert "dense 0.500 -> 0.000" in capsys.readouterr().out
    assert (examples(data), examples(data, "rate")) == (OWN, ["환율 조회 방법"])


def test_a_running_server_keeps_the_command_from_writing(data: Path, bundle: Bundle) -> None:
    record(data, *clicks(QUERY))
    with locked(data):
        learn(data, bundle, "--dry-run")
        with pytest.raises(StoreError, match="another server uses"):
            learn(data, bundle)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--min-users", "0"], "--min-users: expected a whole number from 1"),
        (["--min-agreement", "0.5"], "--min-agreement: expected a number above 0.5"),
        (["--max-examples", "x"], "--max-examples: expected a whole number"),
    ],
)
def test_wrong_options_are_named(data: Path, bundle: Bundle, options: Sequence[str], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        learn(data, bundle, *options)


def test_learning_needs_a_store(tmp_path: Path, bundle: Bundle) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        learn(tmp_path, bundle)
