from pathlib import Path

import pytest

from benchmarks.contenders import CONTENDERS, FP32, NATIVE, PACKED, TORCH
from benchmarks.forms import build_forms
from export.source import SourceModel
from server.encoding.golden import cosines
from server.encoding.kind import TextKind
from tests.export.test_trimmed_bundle import many_scripts

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

QUERIES = ["ab c 가나", "hello 나", "가"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return many_scripts(tmp_path_factory.mktemp("model"))


def test_every_form_adds_the_prefix_and_uses_its_vocabulary(model: Path, tmp_path: Path) -> None:
    source = SourceModel(str(model), prefixes={TextKind.QUERY: "ab "}, languages=("ko", "en"))
    forms = build_forms(source, QUERIES, tmp_path)
    assert set(forms) == set(CONTENDERS)
    assert forms[PACKED].workload.token_ids != forms[FP32].workload.token_ids
    reference = source.encode([(query, TextKind.QUERY) for query in QUERIES])
    for name in (TORCH, FP32, PACKED, NATIVE):
        for setting in CONTENDERS[name](forms[name].place, forms[name].workload):
            least = 0.99 if name in (PACKED, NATIVE) else 0.9999
            assert cosines(setting.encode(), reference).min() > least, (name, setting.label)


def test_an_untrimmed_vocabulary_is_shared(model: Path, tmp_path: Path) -> None:
    forms = build_forms(SourceModel(str(model)), QUERIES, tmp_path)
    assert forms[PACKED].workload == forms[FP32].workload
    assert forms[PACKED].workload.texts == QUERIES
