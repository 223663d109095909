import numpy as np
import pytest

from export.source import SourceModel
from export.towers import SourceTowers
from export.tuning.negatives import hard_negatives
from export.tuning.pairs import Negative
from server.catalogue.document import Document
from server.encoding.kind import TextKind
from tests.export.evaluation.made import asked
from tests.export.tiny_models import plain_bert

pytestmark = pytest.mark.filterwarnings("ignore")

DOCUMENTS = [Document(id=f"{letter}{other}", title=f"{letter} {other}") for letter in "abcd" for other in "efgh"]
QUERY = asked("a e f", "ae")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> SourceTowers:
    return SourceTowers(SourceModel(str(plain_bert(tmp_path_factory.mktemp("model") / "bert"))))


def found(source: SourceTowers, *, kinds: list[str], margin: float, count: int = 4) -> list[Negative]:
    return hard_negatives(
        source, [QUERY], DOCUMENTS, count=count, kinds=kinds, margin=margin, progress=lambda step: None
    )[QUERY.text]


def similarities(source: SourceTowers) -> dict[str, float]:
    vectors = source.encode([(each.title_in(""), TextKind.TITLE) for each in DOCUMENTS])
    (query,) = source.encode([(QUERY.text, TextKind.QUERY)])
    return dict(zip((each.id for each in DOCUMENTS), np.asarray(vectors @ query).tolist(), strict=True))


@pytest.mark.parametrize("margin", [0.0, 0.05, 0.2])
def test_negatives_of_the_model_are_the_nearest_below_the_margin(source: SourceTowers, margin: float) -> None:
    near = similarities(source)
    allowed = [id for id in near if id != "ae" and near[id] <= near["ae"] - margin]
    expected = sorted(allowed, key=lambda id: -near[id])[:4]
    assert [each.group for each in found(source, kinds=["dense"], margin=margin)] == expected


def test_negatives_of_bm25_share_words_and_keep_the_margin(source: SourceTowers) -> None:
    near = similarities(source)
    groups = [each.group for each in found(source, kinds=["bm25"], margin=0.0, count=20)]
    assert groups
    assert all(set(group) & set("aef") and near[group] <= near["ae"] for group in groups)


def test_a_margin_beyond_all_leaves_none(source: SourceTowers) -> None:
    assert found(source, kinds=["bm25", "dense"], margin=2.0) == []
