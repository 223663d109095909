from collections.abc import Callable, Sequence
from hashlib import blake2b

import numpy as np
import pytest
from numpy.typing import NDArray

from server.ranking.baseline import Baseline, LanguageBaseline
from server.ranking.language import language_of
from server.ranking.probes import COMMANDS, PARAPHRASES, PROBES, EncodedProbes, probe_texts, probes_file

SCORES = tuple(np.linspace(0, 1, 101).tolist())


def baseline(*, reading: float) -> Baseline:
    known = LanguageBaseline(reading=reading, dense=SCORES, lexical=tuple(10 * score for score in SCORES))
    return Baseline({"en": known, "ko": LanguageBaseline(reading=0.0, dense=(0.9,), lexical=(5.0,))})


@pytest.mark.parametrize(
    ("query", "language"),
    [
        ("lost card", "en"),
        ("카드 분실", "ko"),
        ("ATM 어디에 있어", "ko"),
        ("café", "en"),
        ("ㅋㅋ", "ko"),
        ("카드 lost abroad yesterday", "en"),
        ("כרטיס אבוד", None),
        ("12345", None),
        ("", None),
    ],
)
def test_the_letters_decide_the_language(query: str, language: str | None) -> None:
    assert language_of(query) == language


def test_probes_are_distinct_and_in_their_language() -> None:
    paraphrases = {name: tuple(text for pair in pairs for text in pair) for name, pairs in PARAPHRASES.items()}
    for texts in (PROBES, COMMANDS, paraphrases):
        for language, queries in texts.items():
            assert len(set(queries)) == len(queries)
            assert {language_of(query) for query in queries} == {language}


@pytest.mark.parametrize(
    ("dense", "lexical", "flagged"),
    [
        (0.95, 0.0, False),
        (0.85, 0.0, True),
        (0.85, 9.0, True),
        (0.85, 9.9, False),
        (0.85, None, True),
        (None, 3.0, True),
        (None, 5.0, False),
        (None, 0.0, True),
        (None, None, True),
    ],
)
def test_no_good_answer_means_that_both_legs_are_noise(
    dense: float | None, lexical: float | None, flagged: bool
) -> None:
    assert baseline(reading=1.0).no_good_answer("lost card", dense_best=dense, lexical_best=lexical) is flagged


@pytest.mark.parametrize(("dense", "lexical", "flagged"), [(0.1, None, False), (0.1, 5.0, False), (0.9, 3.0, True)])
def test_dense_scores_are_ignored_if_the_model_does_not_read_the_language(
    dense: float | None, lexical: float | None, flagged: bool
) -> None:
    assert baseline(reading=0.2).no_good_answer("lost card", dense_best=dense, lexical_best=lexical) is flagged


def test_in_an_unknown_language_only_queries_without_hits_have_no_good_answer() -> None:
    known = baseline(reading=1.0)
    assert not known.no_good_answer("כרטיס", dense_best=-1.0, lexical_best=0.0)
    assert known.no_good_answer("כרטיס", dense_best=None, lexical_best=0.0)
    assert known.evidence("כרטיס", dense_best=0.5, lexical_best=0.0).reading == 0.5


def test_evidence_counts_standard_deviations_above_the_mean() -> None:
    known = baseline(reading=1.0)
    assert known.evidence("card", dense_best=0.4, lexical_best=None).dense == 0
    found = known.evidence("card", dense_best=1.0, lexical_best=10.0)
    assert found.dense == pytest.approx(found.lexical)
    assert found.dense == pytest.approx(0.5 / np.std(SCORES))


def test_probes_measure_whether_a_model_reads_a_language() -> None:
    meanings = {text: str(number) for number, pair in enumerate(PARAPHRASES["en"]) for text in pair}

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([vector(meanings.get(text, text)) for text in texts])

    probes = EncodedProbes(encode)
    assert probes.readings["en"] == 1.0
    assert probes.readings["ko"] < 0.5

    def found(best: float | None) -> Callable[[Sequence[object]], list[float | None]]:
        return lambda queries: [best for _ in queries]

    measured = probes.measure(dense_best=found(2.0), lexical_best=found(None))
    assert measured.no_good_answer("lost card", dense_best=0.0, lexical_best=0.0)
    empty = probes.measure(dense_best=found(None), lexical_best=found(None))
    assert not empty.no_good_answer("lost card", dense_best=0.1, lexical_best=0.0)


def vector(meaning: str) -> NDArray[np.float32]:
    seed = int.from_bytes(blake2b(meaning.encode(), digest_size=4).digest(), "little")
    drawn: NDArray[np.float32] = np.random.default_rng(seed).standard_normal(64).astype(np.float32)
    return drawn


def test_a_query_nearer_to_a_decoy_than_to_every_document_has_no_good_answer() -> None:
    def unit(text: str) -> NDArray[np.float32]:
        return vector(text) / np.linalg.norm(vector(text))

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([unit(text) for text in texts])

    def measured(**options: bool) -> Baseline:
        return EncodedProbes(encode, **options).measure(
            dense_best=lambda vectors: [0.1 for _ in vectors], lexical_best=lambda queries: [None for _ in queries]
        )

    decoy, other = unit(COMMANDS["en"][0]), unit("lost card")
    known = measured(compares_queries=True)._languages["en"]
    assert known.decoys is not None
    assert known.dense_noise(decoy) == pytest.approx(1 - known.decoys.margin)
    assert known.dense_noise(decoy) > known.dense_noise(other)
    assert measured()._languages["en"].decoys is None


def test_other_probes_have_another_file_name(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, before = probe_texts(), probes_file()
    assert len(set(texts)) == len(texts) > 250
    monkeypatch.setitem(COMMANDS, "en", (*COMMANDS["en"][:-1], "something else"))
    assert probes_file() != before
