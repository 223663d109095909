"""Trainings of a small random model, through the command line and without it."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from export.errors import ExportError
from export.evaluation.judged import JudgedQuery
from export.evaluation.systems.served import BundleEncoder
from export.source import SourceModel
from export.towers import SourceTowers
from export.tuning.development import Development
from export.tuning.labels import parted, read_labels
from export.tuning.pair_model import PairModel
from export.tuning.pairs import make_pairs
from export.tuning.scores import Trained
from export.tuning.towers import ModelOptions
from export.tuning.training import TrainingOptions, train
from sample.server_process import REPOSITORY
from server.catalogue.catalogue import load_catalogue
from server.encoding.bundle import Bundle
from server.encoding.kind import TextKind
from server.encoding.manifest import read_manifest
from tests.export.command_line import assert_one_line, export
from tests.export.tiny_models import plain_bert
from tests.export.tuning.made import Files, title_of, write_files, write_lines

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

OPTIONS = TrainingOptions(
    epochs=3,
    batch=6,
    learning_rate=2e-3,
    evaluate_steps=200,
    patience=3,
    seed=0,
)
QUICK = ("--learning-rate", "2e-3", "--batch", "6", "--center", "off", "--min-top10-overlap", "0")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plain_bert(tmp_path_factory.mktemp("model") / "bert")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return write_files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def before(model: Path, files: Files) -> Path:
    out = model.with_name("before")
    assert export("--model", model, "--out", out, "--center", "off", "--force").returncode == 0
    return out


def tune(model: Path, files: Files, out: Path, before: Path, *flags: str | Path) -> CompletedProcess[str]:
    return export("tune", "--model", model, "--out", out, *files.flags, "--before", before, *QUICK, *flags)


class Session:
    """A training with `options`, whose lines of progress are kept."""

    def __init__(self, model: Path, files: Files, options: TrainingOptions = OPTIONS, *, max_tokens: int = 128) -> None:
        self.source = SourceTowers(SourceModel(str(model)))
        self.max_tokens = max_tokens
        self.options = options
        self.lines: list[str] = []
        self.stop_at = "nothing"
        self.labels = read_labels(
            directory=None,
            split=None,
            catalogue=files.catalogue,
            queries=files.queries,
            labels=str(files.labels),
            most_judged=None,
            per_document=None,
            drop_leaks=False,
            seed=0,
        )

    def train(self, folder: Path) -> Trained:
        parts = parted(self.labels.labels, share=0.1)
        development: list[JudgedQuery] = list(parts.development)
        return train(
            PairModel(self.source, ModelOptions(max_tokens=self.max_tokens)),
            lambda: make_pairs(parts.training, self.labels.documents, title_separator=None),
            Development(self.source, self.labels.documents, development),
            self.options,
            folder,
            progress=self._progress,
        )

    def vectors(self) -> np.ndarray:
        return self.source.encode([("a b", TextKind.TITLE), ("m n", TextKind.QUERY)])

    def _progress(self, line: str) -> None:
        self.lines.append(line)
        if self.stop_at in line:
            os.kill(os.getpid(), signal.SIGINT)


def test_tuning_writes_a_better_bundle_and_compares_it(model: Path, files: Files, before: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "tuned", tmp_path / "page.html"
    run = tune(model, files, out, before, "--epochs", "12", "--curve", "0,40,all", "--html", page)
    assert run.returncode == 0, run.stderr
    assert re.search(r"training: step [\d,]+ of [\d,]+, .* left at most", run.stderr)
    recalls = [float(row.split()[1]) for row in run.stdout.splitlines() if re.match(r"(0|40|96) +[01]\.\d", row)]
    assert len(recalls) == 3
    assert recalls[0] + 0.2 < recalls[2]
    assert "DENSE after 96 + labels" in run.stdout
    assert "R@1 by number of labels" in page.read_text()
    manifest = read_manifest(out)
    assert manifest.name == "bert-tuned"
    assert manifest.query.source.model == "bert, tuned on 96 labels of labels.jsonl"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("tuned")] == ["tuned"]


def test_labels_that_are_examples_already_leave_room_to_improve(
    model: Path, files: Files, before: Path, tmp_path: Path
) -> None:
    documents = {each["id"]: each | {"examples": []} for each in map(json.loads, files.catalogue.open())}
    for label in parted(Session(model, files).labels.labels, share=0.1).development:
        for id in label.grades:
            documents[id]["examples"].append(label.text)
    catalogue = tmp_path / "catalogue.jsonl"
    write_lines(catalogue, documents.values())
    run = tune(model, replace(files, catalogue=catalogue), tmp_path / "tuned", before, "--epochs", "12")
    assert run.returncode == 0, run.stderr
    found = re.search(r"development part: nDCG@10 (\S+) before, (\S+) after", run.stderr)
    assert found is not None
    assert float(found[1]) + 0.1 < float(found[2])


def test_the_development_part_is_measured_on_whole_texts(model: Path, files: Files, tmp_path: Path) -> None:
    whole = Session(model, files)
    cut = Session(model, files, max_tokens=3)
    uncut = whole.train(tmp_path / "whole")
    scores = cut.train(tmp_path / "cut")
    assert scores.before == uncut.before
    development = list(parted(cut.labels.labels, share=0.1).development)
    assert Development(cut.source, cut.labels.documents, development).score() == scores.after


def test_two_towers_are_trained_with_hard_negatives(model: Path, files: Files, before: Path, tmp_path: Path) -> None:
    flags = ["--towers", "two", "--negatives", "2", "--embeddings", "trained", "--loss", "one-way", "--epochs", "6"]
    run = tune(model, files, tmp_path / "tuned", before, *flags)
    assert run.returncode == 0, run.stderr
    manifest = read_manifest(tmp_path / "tuned")
    assert manifest.document is not None
    assert "finding hard negatives" in run.stderr


def test_a_tower_of_queries_learns_while_documents_keep_their_model(
    model: Path, files: Files, before: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tuned"
    run = tune(model, files, out, before, "--towers", "query", "--epochs", "12", "--curve", "0,all")
    assert run.returncode == 0, run.stderr
    recalls = [float(row.split()[1]) for row in run.stdout.splitlines() if re.match(r"(0|96) +[01]\.\d", row)]
    assert recalls[0] + 0.2 < recalls[1]
    manifest = read_manifest(out)
    assert manifest.query.source.model == "bert, tuned on 96 labels of labels.jsonl"
    assert manifest.document is not None
    assert manifest.document.source.model == "bert"
    old, new = BundleEncoder(Bundle(before)), BundleEncoder(Bundle(out))
    documents = load_catalogue(files.catalogue)
    for mine, theirs in zip(old.passages(documents), new.passages(documents), strict=True):
        np.testing.assert_allclose(mine.matrix, theirs.matrix, atol=1e-3)
    assert not np.allclose(old.queries([title_of(0)]), new.queries([title_of(0)]), atol=0.01)


def test_only_the_embeddings_of_tokens_stay(model: Path, files: Files, tmp_path: Path) -> None:
    session = Session(model, files)
    weights = {name: each.clone() for name, each in session.source.query.model.state_dict().items()}
    session.train(tmp_path / "t")
    same = [
        name
        for name, each in session.source.query.model.state_dict().items()
        if "layer" in name or "embeddings" in name
        if np.array_equal(each.numpy(), weights[name].numpy())
    ]
    assert [name for name in same if "word_embeddings" in name]
    assert not [name for name in same if "attention.output.dense.weight" in name]


def test_an_interrupted_training_continues_to_the_same_weights(model: Path, files: Files, tmp_path: Path) -> None:
    whole = Session(model, files)
    scores = whole.train(tmp_path / "whole")
    interrupted = Session(model, files)
    interrupted.stop_at = "training: step 26, development part"
    with pytest.raises(KeyboardInterrupt, match=r"--resume continues after step 27, from .*part"):
        interrupted.train(tmp_path / "part")
    resumed = Session(model, files)
    assert resumed.train(tmp_path / "part") == scores
    assert not any("step 13, development" in line for line in resumed.lines)
    np.testing.assert_array_equal(resumed.vectors(), whole.vectors())
    finished = Session(model, files)
    assert finished.train(tmp_path / "part") == scores
    assert "loading the weights of the finished training" in finished.lines
    np.testing.assert_array_equal(finished.vectors(), whole.vectors())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_training_and_says_how_to_continue(
    model: Path, files: Files, before: Path, tmp_path: Path, number: int
) -> None:
    out = tmp_path / "tuned"
    flags = [
        "--model",
        model,
        "--out",
        out,
        *files.flags,
        "--before",
        before,
        *QUICK,
        "--epochs",
        "100000",
        "--patience",
        "100000",
    ]
    command = [sys.executable, "-m", "export", "tune", *map(str, flags)]
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "training: step" in line:
                break
        process.send_signal(number)
        lines += process.stderr
    assert process.returncode == 130
    assert re.fullmatch(r"export: stopped; --resume continues after step \d+, from .*tuned.checkpoints/96\n", lines[-1])
    assert not out.exists()


def test_a_seed_gives_the_same_weights_and_another_seed_others(model: Path, files: Files, tmp_path: Path) -> None:
    vectors = []
    for number, seed in enumerate((0, 0, 1)):
        session = Session(model, files, replace(OPTIONS, seed=seed))
        session.train(tmp_path / str(number))
        vectors.append(session.vectors())
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert not np.array_equal(vectors[0], vectors[2])


def test_a_diverging_training_is_refused(model: Path, files: Files, before: Path, tmp_path: Path) -> None:
    run = tune(model, files, tmp_path / "tuned", before, "--learning-rate", "1e30")
    assert_one_line(run, "the training diverges: the loss of step ")
    assert "set --learning-rate below 1e+30" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_training_without_use_overwrites_nothing(model: Path, files: Files, before: Path, tmp_path: Path) -> None:
    out = tmp_path / "tuned"
    assert export("--model", model, "--out", out, "--center", "off", "--force").returncode == 0
    manifest = read_manifest(out)
    flags = ["--epochs", "1", "--learning-rate", "1e-12"]
    assert_one_line(tune(model, files, out, before, *flags), "the training does not help: nDCG@10 of the development")
    assert read_manifest(out) == manifest
    assert_one_line(tune(model, files, out, before, *flags), "exists: --resume continues its training")
    assert_one_line(tune(model, files, out, before, "--resume"), "has --epochs 1, not 5")
    forced = tune(model, files, out, before, *flags, "--resume", "--force")
    assert forced.returncode == 0, forced.stderr
    assert read_manifest(out).name == "bert-tuned"


def test_labels_that_judge_are_refused(model: Path, files: Files, before: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.jsonl"
    both.write_text(files.labels.read_text() + files.queries.read_text())
    run = tune(model, Files(files.catalogue, both, files.queries), tmp_path / "tuned", before)
    assert_one_line(run, "24 labels of both.jsonl are also queries of judged.jsonl")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--curve", "1,x"], "'x' is neither a number nor all"),
        (["--curve", "0"], "name a number above 0, or all"),
        (["--towers", "query", "--negatives", "2"], "--towers query has no --loss and no --negatives"),
        (["--towers", "query", "--loss", "one-way"], "--towers query has no --loss and no --negatives"),
        (["--batch", "1"], "expected a whole number, 2 or more"),
        (["--learning-rate", "0"], "expected a number greater than 0"),
        (["--negatives-from", "bm26"], "'bm26' is none of bm25, dense"),
        (["--dev-share", "1"], "expected a number above 0, at most 0.5"),
        (["--split", "dev"], "--split needs --eval"),
        (["--eval", "d"], "set --catalogue and --queries, or --eval"),
        (["--checkpoints", "out"], "--checkpoints and --out overlap: set --checkpoints to another place"),
        (["--html", "./l.jsonl"], "--html and --labels overlap"),
        (["--html", "q.jsonl"], "--html and --queries overlap"),
        (["--html", "c.jsonl"], "--html and --catalogue overlap"),
        (["--before", "b", "--html", "b/manifest.json"], "--html and --before overlap"),
        (["--labels", "q.jsonl"], "--labels and --queries name the same file"),
    ],
)
def test_an_invalid_flag_is_refused(flags: list[str], message: str) -> None:
    files = ["--catalogue", "c.jsonl", "--labels", "l.jsonl", "--queries", "q.jsonl"]
    assert_one_line(export("tune", "--out", "out", *files, *flags), message, code=2)


def test_the_current_directory_is_no_place_for_a_bundle(model: Path, files: Files, before: Path) -> None:
    assert_one_line(tune(model, files, Path(), before), "--out . is the current directory")


def test_a_missing_bundle_is_known_before_the_training(model: Path, files: Files, tmp_path: Path) -> None:
    run = tune(model, files, tmp_path / "tuned", tmp_path / "nothing")
    assert_one_line(run, "nothing")
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_trainer_are_one_line(model: Path, files: Files, tmp_path: Path) -> None:
    session = Session(model, files)
    (tmp_path / "t").write_text("a file where the folder should be")
    with pytest.raises(ExportError, match="the training failed"):
        session.train(tmp_path / "t")
