from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from server.attributes.filter import Equals
from server.catalogue.document import Document
from server.catalogue.encoded import Vectors, Versioned
from server.encoding.bundle import Bundle
from server.encoding.kind import TextKind
from server.live.index import LiveIndex
from server.ranking.baseline import Baseline
from server.ranking.found import Found, FoundDocument
from server.ranking.options import CANDIDATES, Fusion, Mode, SearchOptions
from server.ranking.search import search
from tests.server.making import empty_index, encode, versioned

DOCUMENTS = [
    Document(id="rate", title={"ko": "환율 조회"}, text="오늘의 환율을 봅니다", attributes={"category": "money"}),
    Document(id="lost", title={"ko": "카드 분실"}, examples=["지갑을 잃어버렸어"], attributes={"category": "card"}),
    Document(id="new", title={"ko": "카드 신청"}, examples=["새 카드 만들기"], attributes={"category": "card"}),
    Document(id="split", title={"en": "split the bill"}, text="pay together", attributes={"category": "money"}),
]


def make(bundle: Bundle, folder: Path, weights: tuple[float, ...] = (1.0,)) -> LiveIndex:
    index = empty_index(bundle, folder=folder, weights=weights)
    added = [versioned(bundle, document, sequence) for sequence, document in enumerate(DOCUMENTS, start=1)]
    index.follow(added, [], sequence=len(added))
    index.measure()
    index.refresh()
    return index


@pytest.fixture
def index(bundle: Bundle, tmp_path: Path) -> Iterator[LiveIndex]:
    index = make(bundle, tmp_path)
    yield index
    index.close()


def find(bundle: Bundle, index: LiveIndex, query: str, options: SearchOptions) -> Found:
    vector = None if options.mode is Mode.LEXICAL else encode(bundle, [(query, TextKind.QUERY)])[0]
    return search(index.state, query, vector, options)


def ids(found: Found) -> list[str]:
    return [DOCUMENTS[each.sequence - 1].id for each in found.documents]


@pytest.mark.parametrize("fusion", list(Fusion))
@pytest.mark.parametrize("mode", list(Mode))
def test_every_mode_finds_a_title_first_and_reports_its_scores(
    bundle: Bundle, index: LiveIndex, mode: Mode, fusion: Fusion
) -> None:
    found = find(bundle, index, "카드 신청", SearchOptions(3, mode, fusion=fusion))
    best = found.documents[0]
    assert ids(found)[0] == "new"
    assert found.sequence == 4
    assert not found.no_good_answer
    assert (best.dense_score is None) is (mode is Mode.LEXICAL)
    assert (best.lexical_score is None) is (mode is Mode.DENSE)
    assert (best.vector is None) is (mode is Mode.LEXICAL)
    scores = [each.score for each in found.documents]
    assert scores == sorted(scores, reverse=True)
    if mode is not Mode.HYBRID:
        assert best.score == (best.lexical_score if mode is Mode.LEXICAL else best.dense_score)


def test_the_nearest_vector_is_reported(bundle: Bundle, index: LiveIndex) -> None:
    for mode in (Mode.DENSE, Mode.HYBRID):
        (best,) = find(bundle, index, "지갑을 잃어버렸어", SearchOptions(1, mode)).documents
        assert (best.sequence, best.vector) == (2, 1)
        assert best.dense_score == pytest.approx(1.0)


@pytest.mark.parametrize("mode", list(Mode))
def test_a_filter_applies_in_every_mode(bundle: Bundle, index: LiveIndex, mode: Mode) -> None:
    options = SearchOptions(10, mode, filter=Equals("category", "money"))
    assert set(ids(find(bundle, index, "환율 카드 split", options))) <= {"rate", "split"}
    nothing = find(bundle, index, "환율", SearchOptions(10, mode, filter=Equals("category", "none")))
    assert (nothing.documents, nothing.no_good_answer) == ([], True)


def compared(document: FoundDocument, mode: Mode) -> float:
    """Returns the score that `min_score` bounds: in HYBRID mode the best document of any query has 1."""
    score = document.dense_score if mode is Mode.HYBRID else document.score
    assert score is not None
    return score


@pytest.mark.parametrize("mode", list(Mode))
def test_min_score_drops_the_last_hits(bundle: Bundle, index: LiveIndex, mode: Mode) -> None:
    everything = find(bundle, index, "카드 환율 조회", SearchOptions(10, mode)).documents
    assert len(everything) > 1
    bound = sorted(compared(each, mode) for each in everything)[-2]
    some = find(bundle, index, "카드 환율 조회", SearchOptions(10, mode, min_score=bound)).documents
    assert 0 < len(some) < len(everything)
    assert some == [each for each in everything if compared(each, mode) >= bound]
    nothing = find(bundle, index, "카드 환율 조회", SearchOptions(10, mode, min_score=1e9))
    assert (nothing.documents, nothing.no_good_answer) == ([], True)


def test_words_are_searched_instead_of_the_text_by_words_alone(bundle: Bundle, index: LiveIndex) -> None:
    text, words = "카드 신청", "split the bill"
    vector = encode(bundle, [(text, TextKind.QUERY)])[0]

    def found(mode: Mode) -> Found:
        return search(index.state, text, vector, SearchOptions(4, mode), words=words)

    assert ids(found(Mode.LEXICAL)) == ["split"]
    assert found(Mode.DENSE) == find(bundle, index, text, SearchOptions(4, Mode.DENSE))
    hybrid = found(Mode.HYBRID)
    assert ids(hybrid)[0] == "new", "the text is compared with titles"
    assert [ids(hybrid)[place] for place, each in enumerate(hybrid.documents) if each.lexical_score] == ["split"]


@pytest.mark.parametrize("limit", [1, 3])
def test_min_score_is_applied_before_the_limit(bundle: Bundle, crowded: LiveIndex, limit: int) -> None:
    everything = find(bundle, crowded, "lost card", SearchOptions(30, Mode.HYBRID)).documents
    bound = sorted(compared(each, Mode.HYBRID) for each in everything)[-limit]
    some = find(bundle, crowded, "lost card", SearchOptions(limit, Mode.HYBRID, min_score=bound))
    assert len(some.documents) == limit


def test_the_limit_applies_in_every_mode(bundle: Bundle, index: LiveIndex) -> None:
    for mode in Mode:
        for limit in (1, 2, 3):
            assert len(find(bundle, index, "카드 환율 split", SearchOptions(limit, mode)).documents) == limit


def test_weights_multiply_the_scores_of_fields(bundle: Bundle, tmp_path: Path) -> None:
    query = "카드 만들기"
    plain, examples = make(bundle, tmp_path), make(bundle, tmp_path, weights=(1.0, 1.0, 2.0))
    titles = make(bundle, tmp_path, weights=(10.0, 1.0, 1.0))
    scores = {}
    for name, index in (("plain", plain), ("examples", examples), ("titles", titles)):
        by_id = {
            DOCUMENTS[each.sequence - 1].id: each for each in find(bundle, index, query, SearchOptions(10)).documents
        }
        scores[name] = by_id["new"]
        index.close()
    assert scores["examples"].vector == 1
    assert scores["titles"].vector == 0
    assert scores["examples"].score == pytest.approx(2 * scores["plain"].score)


def test_unrelated_queries_have_no_good_answer_in_lexical_mode(bundle: Bundle, index: LiveIndex) -> None:
    found = find(bundle, index, "zzz qqq", SearchOptions(10, Mode.LEXICAL))
    assert (found.documents, found.no_good_answer) == ([], True)
    assert not find(bundle, index, "환율 조회", SearchOptions(10, Mode.LEXICAL)).no_good_answer


class Hopeless(Baseline):
    """A baseline that no score exceeds."""

    def no_good_answer(
        self,
        query: str,
        vector: NDArray[np.float32] | None = None,
        *,
        dense_best: float | None,
        lexical_best: float | None,
    ) -> bool:
        return True


@pytest.fixture(scope="module")
def crowded(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveIndex]:
    """An index with more titles that begin with "card" than candidates of a leg, and titles that contain the word."""
    index = make(bundle, tmp_path_factory.mktemp("crowded"))
    documents = [
        Document(
            id=str(number),
            title=f"card {number * 37 % 500:03}" if number % 4 else f"lost card {number}",
            text="pay with it " + "card " * (number % 7),
        )
        for number in range(3 * CANDIDATES)
    ]
    documents += [Document(id=f"exact {number}", title="card") for number in range(3)]
    added = [versioned(bundle, each, sequence) for sequence, each in enumerate(documents, start=len(DOCUMENTS) + 1)]
    index.follow(added, [], sequence=added[-1].sequence)
    index.measure()
    index.refresh()
    yield index
    index.close()


@pytest.mark.parametrize("fusion", list(Fusion))
@pytest.mark.parametrize("query", ["card", "car", "card 1", "lost card"])
def test_a_smaller_limit_gives_the_same_first_hits(
    bundle: Bundle, crowded: LiveIndex, query: str, fusion: Fusion
) -> None:
    everything = find(bundle, crowded, query, SearchOptions(CANDIDATES, Mode.HYBRID, fusion=fusion)).documents
    assert len(everything) == CANDIDATES
    for limit in (1, 2, 3, 4, 5, 10, 30, 99):
        some = find(bundle, crowded, query, SearchOptions(limit, Mode.HYBRID, fusion=fusion)).documents
        assert some == everything[:limit]
    if query == "card":
        last = crowded.state.sequence
        assert [each.sequence for each in everything[:3]] == [last - 2, last - 1, last]


@pytest.mark.parametrize("mode", list(Mode))
def test_a_min_score_copied_from_an_answer_keeps_that_hit(bundle: Bundle, crowded: LiveIndex, mode: Mode) -> None:
    everything = find(bundle, crowded, "lost card", SearchOptions(30, mode)).documents
    exact = [compared(each, mode) for each in everything]
    scores = [float(np.float32(each)) for each in exact]
    assert mode is Mode.LEXICAL or any(sent > score for sent, score in zip(scores, exact, strict=True))
    for place, sent in enumerate(scores):
        some = find(bundle, crowded, "lost card", SearchOptions(30, mode, min_score=sent)).documents
        assert everything[place] in some
        # In HYBRID mode, documents beyond the first thirty may have this similarity as well.
        kept = [each for each in some if each in everything]
        assert kept == [each for each, score in zip(everything, scores, strict=True) if score >= sent]


@pytest.mark.parametrize("query", ["카", "카드", "카드 분", "split t", "spl", "환율 조회"])
def test_a_title_that_begins_with_the_query_is_a_good_answer(bundle: Bundle, index: LiveIndex, query: str) -> None:
    state = index.state._replace(baseline=Hopeless({}))
    vector = encode(bundle, [(query, TextKind.QUERY)])[0]
    assert search(state, query, vector, SearchOptions(3, Mode.HYBRID)).no_good_answer is (len(query) == 1)
    assert search(state, f"nothing {query}", vector, SearchOptions(3, Mode.HYBRID)).no_good_answer
    nothing = search(state, query, vector, SearchOptions(3, Mode.HYBRID, min_score=1e9))
    assert (nothing.documents, nothing.no_good_answer) == ([], True)


def test_a_title_that_begins_with_the_corrected_words_is_a_good_answer(bundle: Bundle, index: LiveIndex) -> None:
    state = index.state._replace(baseline=Hopeless({}))
    vector = encode(bundle, [("환울", TextKind.QUERY)])[0]
    options = SearchOptions(3, Mode.HYBRID)
    assert search(state, "환울", vector, options).no_good_answer
    assert not search(state, "환울", vector, options, words="환율").no_good_answer
    assert search(state, "환울", vector, options, words="환영").no_good_answer


def test_scores_that_are_equal_in_an_answer_are_in_the_order_of_the_catalogue(bundle: Bundle, tmp_path: Path) -> None:
    first, second, query = (np.zeros(bundle.manifest.dimension, np.float32) for _ in range(3))
    first[0] = second[0] = query[0] = 1.0
    second[1], query[1] = 2.0**-12, 2.0**-16
    index = empty_index(bundle, folder=tmp_path)
    spans = np.array([[0, 0, 1]], np.int32)
    index.follow(
        [
            Versioned(sequence, Document(id=str(sequence), title="x"), Vectors(spans, vector[None, :]))
            for sequence, vector in ((1, first), (2, second))
        ],
        [],
        sequence=2,
    )
    lower, higher = search(index.state, "?", query, SearchOptions(2, Mode.DENSE)).documents
    index.close()
    assert np.float32(lower.score) == np.float32(higher.score)
    assert lower.score < higher.score, "the exact scores differ"
    assert (lower.sequence, higher.sequence) == (1, 2)
