"""The same model gives the same bytes, whatever the threads, the cores, the hash seed and the directories."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from export.source import SourceModel
from export.threads import one_thread_each
from sample.server_process import REPOSITORY
from server.encoding.kind import TextKind
from tests.export.checks.test_tokenizer import with_sentencepiece
from tests.export.tiny_models import dense_model, plain_bert, plain_roberta, wide_bert

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

EXPORTS = [
    ("wide", "--center", "on"),
    ("plain", "--document-model", "convbert", "--center", "off"),
    ("plain", "--quantization", "static", "--center", "off"),
    ("dense", "--quantization", "dynamic", "--center", "off"),
    ("sentencepiece", "--languages", "en", "--center", "on"),
]

CODE = """
import os, sys
from pathlib import Path
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[2])])
from tests.export.command_line import TINY_CORPUS, export
from tests.export.test_reproducible import EXPORTS
home = Path(sys.argv[1])
for number, (model, *flags) in enumerate(EXPORTS):
    flags = [str(home / flag) if (home / flag).is_dir() else flag for flag in flags]
    run = export("--model", home / model, "--out", home / f"bundle-{number}", "--eval", TINY_CORPUS, "--force", *flags)
    assert run.returncode == 0, run.stderr
"""


def files_of(home: Path) -> dict[str, bytes]:
    bundles = [path for path in home.glob("bundle-*/**/*") if path.is_file()]
    return {str(path.relative_to(home)): path.read_bytes() for path in bundles}


@pytest.mark.timeout(600)
def test_every_file_of_a_bundle_is_the_same_with_other_threads_cores_and_seeds(tmp_path: Path) -> None:
    one = tmp_path / "one"
    wide_bert(one / "wide")
    plain_bert(one / "plain")
    dense_model(one / "dense")
    plain_roberta(one / "convbert", kind="convbert")
    with_sentencepiece(one / "sentencepiece", "xlm-roberta")
    other = tmp_path / "elsewhere" / "other"
    shutil.copytree(one, other)
    processes = []
    for home, cores, threads, seed in ((one, 1, 1, 0), (other, 2, 2, 1)):
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, str(threads)) | {"PYTHONHASHSEED": str(seed)}
        command = [sys.executable, "-c", CODE, str(home), str(cores)]
        processes.append(subprocess.Popen(command, cwd=REPOSITORY, env=environment))
    assert [process.wait() for process in processes] == [0, 0]
    found, expected = files_of(one), files_of(other)
    assert len(found) > 6 * len(EXPORTS)
    assert [name for name in expected if found.get(name) != expected[name]] == []
    assert found.keys() == expected.keys()


def test_products_use_one_thread_during_an_export_and_all_of_them_after_it() -> None:
    before = torch.get_num_threads(), [each["num_threads"] for each in threadpool_info()]
    with one_thread_each():
        assert torch.get_num_threads() == 1
        assert {each["num_threads"] for each in threadpool_info()} == {1}
        np.linalg.inv(np.eye(9))
    assert (torch.get_num_threads(), [each["num_threads"] for each in threadpool_info()]) == before


def test_the_original_gives_the_vectors_of_sentence_transformers(tmp_path: Path) -> None:
    model = SourceModel(str(dense_model(tmp_path / "model")))
    assert not model.model.training
    texts = ["a b c", "x y z", "hello", "q " * 60, *("a" * length for length in range(1, 99))]
    vectors = model.encode([(text, TextKind.TEXT) for text in texts])
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(vector, model.model.encode(text), atol=1e-6)
