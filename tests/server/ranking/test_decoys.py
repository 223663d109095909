import numpy as np
import pytest

from server.ranking.decoys import Decoys

AXES = np.eye(6, dtype=np.float32)
PAIRS = np.concatenate([AXES[:3], AXES[:3] * 0.8 + AXES[3:] * 0.6]).astype(np.float32)
"""Three pairs of decoys, each with a cosine of .8."""


def test_the_margin_is_the_standard_deviation_of_similarities_between_decoys() -> None:
    assert Decoys.of(AXES).margin == 0
    assert Decoys.of(PAIRS).margin == pytest.approx(np.std([0.8] * 6 + [0.0] * 18 + [0.0] * 6))


def test_a_query_must_be_nearer_to_its_documents_than_to_the_nearest_decoy() -> None:
    decoys = Decoys.of(PAIRS)
    assert decoys.threshold(AXES[0]) == pytest.approx(1 - decoys.margin)
    assert decoys.threshold(-AXES[0]) < 0


def test_decoys_that_the_catalogue_answers_are_dropped() -> None:
    decoys = Decoys.of(PAIRS)
    answered = AXES[0]
    left = decoys.unanswered([1.2 if float(vector @ answered) > 0.7 else 0.3 for vector in decoys.vectors])
    assert len(left.vectors) == 4
    assert left.threshold(answered) < decoys.threshold(answered)
    assert len(decoys.unanswered([0.0] * len(PAIRS)).vectors) == len(PAIRS)


def test_without_decoys_every_score_is_good_enough() -> None:
    assert Decoys(np.empty((0, 6), np.float32), 0.1).threshold(AXES[0]) == -1


def test_weights_of_documents_do_not_change_the_result() -> None:
    best = [1.2 if float(vector @ AXES[0]) > 0.7 else 0.3 for vector in PAIRS]
    plain = Decoys.of(PAIRS).unanswered(best)
    weighted = Decoys.of(PAIRS).unanswered([0.5 * each for each in best], weight=0.5)
    assert weighted.vectors.tobytes() == plain.vectors.tobytes()
    assert weighted.threshold(AXES[1]) == pytest.approx(0.5 * plain.threshold(AXES[1]))
