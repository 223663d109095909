from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.attributes.filter import Equals, Not
from server.catalogue.document import Document
from server.catalogue.encoded import Versioned
from server.encoding.bundle import Bundle
from server.encoding.kind import TextKind
from server.live.index import LiveIndex
from server.ranking.options import Mode, SearchOptions
from server.ranking.search import search
from server.ranking.state import State
from server.vectors.dense import DenseOptions
from tests.server.making import empty_index, encode, versioned

TITLES = ["환율 조회", "지갑을 잃어버렸어", "send money", "split the bill", "카드 분실", "exchange rate"]
GRAPH = DenseOptions(hnsw_from_vectors=8, tail_least=4)


@pytest.fixture
def index(bundle: Bundle) -> Iterator[LiveIndex]:
    index = empty_index(bundle)
    yield index
    index.close()


class Model:
    """The expected content of an index: the version of each id, and sequences as a store assigns them."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.sequence = 0
        self.documents: dict[str, Versioned] = {}

    def put(self, id: str, title: str, number: int) -> tuple[Versioned, list[int]]:
        """Writes a document; returns its version and the sequences that it replaces."""
        self.sequence += 1
        before = self.documents.get(id)
        document = Document(id=id, title=title, text=f"{title} {id}", attributes={"n": number})
        self.documents[id] = versioned(self._bundle, document, self.sequence)
        return self.documents[id], [before.sequence] if before else []

    def delete(self, id: str) -> list[int]:
        """Deletes a document if it exists; returns the deleted sequences."""
        if id not in self.documents:
            return []
        self.sequence += 1
        return [self.documents.pop(id).sequence]

    def check_parts(self, state: State) -> None:
        """Checks the number of vectors by part: each vector of a live document is in the graph or compared exactly."""
        live = {each.sequence for each in self.documents.values()}
        owners = state.slots.sequences[state.dense.owners].tolist()
        assert state.vectors_by_part() == {
            "graph": sum(owner in live for owner in owners[: state.dense.graph_count]),
            "exact": sum(owner in live for owner in owners[state.dense.graph_count :]),
            "dead": sum(owner not in live for owner in owners),
        }

    def check(self, state: State) -> None:
        """Checks that searches find exactly the expected documents."""
        assert state.sequence == self.sequence
        assert state.slots.live_count == len(self.documents)
        assert state.live_vectors == sum(len(each.vectors.spans) for each in self.documents.values() if each.vectors)
        self.check_parts(state)
        sequences = {each.sequence for each in self.documents.values()}
        vector = encode(self._bundle, [("환율 카드 money", TextKind.QUERY)])[0]
        for mode in (Mode.DENSE, Mode.HYBRID):
            found = search(state, "환율 카드 money", vector, SearchOptions(100, mode)).documents
            assert len({each.sequence for each in found}) == len(found)
            if mode is Mode.DENSE:
                assert {each.sequence for each in found} == sequences
            else:
                assert {each.sequence for each in found} <= sequences
        for each in self.documents.values():
            title = str(each.document.title)
            same = {other.sequence for other in self.documents.values() if other.document.title == title}
            by_words = search(state, title, None, SearchOptions(100, Mode.LEXICAL)).documents
            assert same <= {one.sequence for one in by_words} <= sequences
            by_title = search(state, title, vector, SearchOptions(len(same), Mode.HYBRID)).documents
            assert {one.sequence for one in by_title} == same, "documents with the typed title come first"
        for number in range(3):
            wanted = {each.sequence for each in self.documents.values() if each.document.attributes["n"] == number}
            only = search(state, "환율", vector, SearchOptions(100, filter=Equals("n", number))).documents
            assert {each.sequence for each in only} == wanted == set(state.matching(Equals("n", number)).tolist())
            rest = search(state, "환율", vector, SearchOptions(100, filter=Not(Equals("n", number)))).documents
            assert {each.sequence for each in rest} == sequences - wanted
        self.check_suggestions(state)

    def check_suggestions(self, state: State) -> None:
        """Checks that each title is suggested for some live document that has it, and no other title is."""
        assert len(state.suggestions) == len(self.documents)
        for title in TITLES:
            having = {each.sequence for each in self.documents.values() if each.document.title == title}
            found = [each for each in state.suggestions.suggest(title, limit=9) if each.text == title]
            assert [state.slots.sequences[each.slot] in having for each in found] == [True] * bool(having)


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            st.lists(
                st.tuples(st.sampled_from("abcdefghij"), st.sampled_from(TITLES), st.integers(0, 2)),
                min_size=1,
                max_size=6,
            ),
        ),
        st.tuples(st.just("delete"), st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=4)),
        st.tuples(st.just("rebuild"), st.just([])),
        st.tuples(st.just("refresh"), st.just([])),
    ),
    max_size=15,
)


@pytest.mark.parametrize("options", [None, GRAPH], ids=["exact", "graph"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_an_index_finds_the_documents_of_a_dictionary(
    bundle: Bundle, options: DenseOptions | None, steps: list[tuple[str, list[object]]]
) -> None:
    index, model = empty_index(bundle, options=options), Model(bundle)
    for step, items in steps:
        added: list[Versioned] = []
        retired: list[int] = []
        if step == "put":
            for each in items:
                new, replaced = model.put(*each)  # type: ignore[misc]
                added.append(new)
                retired += replaced
        elif step == "delete":
            for each in items:
                retired += model.delete(str(each))
        elif step == "rebuild":
            other = empty_index(bundle, options=options)
            other.follow(sorted(model.documents.values()), [], sequence=model.sequence)
            index.adopt(other)
            assert index.state.slots.dead_count == 0
        else:
            index.refresh()
        if step in ("put", "delete"):
            index.follow(added, retired, sequence=model.sequence)
        model.check(index.state)
    index.dense.wait()
    index.refresh()
    model.check(index.state)
    index.close()


def test_a_state_does_not_change(bundle: Bundle, index: LiveIndex) -> None:
    model = Model(bundle)
    states = [(index.state, dict(model.documents), 0)]
    for number in range(20):
        added, retired = model.put("abcde"[number % 5], TITLES[number % 6], number % 3)
        index.follow([added], retired, sequence=model.sequence)
        states.append((index.state, dict(model.documents), model.sequence))
    for state, documents, sequence in states:
        model.documents, model.sequence = documents, sequence
        model.check(state)


def test_the_baseline_is_measured_again_after_many_changes(bundle: Bundle, index: LiveIndex) -> None:
    model = Model(bundle)

    def put(count: int) -> None:
        for _ in range(count):
            added, retired = model.put(str(model.sequence), TITLES[model.sequence % 6], 0)
            index.follow([added], retired, sequence=model.sequence)

    def unmeasured() -> bool:
        return index.unmeasured

    assert unmeasured()
    index.measure()
    assert not unmeasured()
    put(20)
    assert unmeasured()
    index.measure()
    index.refresh()
    assert index.state.baseline.evidence("환율 조회", dense_best=1.0, lexical_best=9.0).lexical > 0
    put(1)
    assert not unmeasured()
    put(1)
    assert unmeasured()


def test_each_vector_has_its_part_and_field(bundle: Bundle, index: LiveIndex) -> None:
    document = Document(id="a", title={"ko": "환율", "en": "rate"}, text="가" * 200, examples=["달러", "유로"])
    index.follow([versioned(bundle, document, 1)], [], sequence=1)
    dense = index.state.dense
    assert dense.owners.tolist() == [0] * len(dense)
    assert dense.parts.tolist() == list(range(len(dense)))
    assert dense.fields.tolist() == [0, 0, *[1] * (len(dense) - 4), 2, 2]
    np.testing.assert_array_equal(index.state.slots.sequences, [1])


def test_completions_follow_the_demand_for_their_documents(bundle: Bundle) -> None:
    index, model = empty_index(bundle), Model(bundle)

    def suggested() -> list[str]:
        return [index.state.ids[each.slot] for each in index.state.suggestions.suggest("환", limit=9)]

    for id in "abc":
        added, retired = model.put(id, f"환율 {id}", 0)
        index.follow([added], retired, sequence=model.sequence)
    assert suggested() == ["a", "b", "c"]
    before = index.state.suggestions
    index.weigh({"c": 0.5, "b": 0.2, "gone": 1.0})
    index.refresh()
    assert suggested() == ["c", "b", "a"]
    assert [each.slot for each in before.suggest("환", limit=9)] == [0, 1, 2], "a state does not change"
    added, retired = model.put("c", "환율 새로", 0)
    index.follow([added], retired, sequence=model.sequence)
    assert suggested() == ["c", "b", "a"], "a new version keeps the demand"
    built = empty_index(bundle)
    built.follow(sorted(model.documents.values()), [], sequence=model.sequence)
    index.adopt(built).close()
    assert suggested() == ["c", "b", "a"], "a rebuilt index keeps it, too"
    index.weigh({})
    index.refresh()
    assert suggested() == ["a", "b", "c"]
    index.close()


def test_a_rebuilt_index_keeps_the_raised_ef_search_and_returns_the_old_parts(bundle: Bundle) -> None:
    index, model = empty_index(bundle), Model(bundle)
    for number in range(5):
        added, retired = model.put("ab"[number % 2], TITLES[number], 0)
        index.follow([added], retired, sequence=model.sequence)
    before, old = index.state, index.dense
    for raised, rebuilt, expected in ((400, 192, 400), (400, 600, 600)):
        index.dense.ef_search = raised
        built = empty_index(bundle)
        built.dense.ef_search = rebuilt
        built.follow(sorted(model.documents.values()), [], sequence=model.sequence)
        new, replaced = built.dense, index.dense
        unused = index.adopt(built)
        assert unused is built
        assert (index.dense, unused.dense) == (new, replaced)
        assert index.dense.ef_search == index.state.dense.ef_search.value == expected
        unused.close()
        assert not replaced._folder.exists()
        assert new._folder.exists()
        model.check(index.state)
    assert not old._folder.exists()
    assert before.slots.live_count == 2, "searches that hold a state still work"
    model.check(before)
    index.close()
