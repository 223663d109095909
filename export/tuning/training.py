"""Trains the towers with transformers' trainer, which sentence-transformers' trainer extends.

sentence-transformers' own trainer takes its data from `datasets` only, whose releases do not fit the version of
transformers that optimum-onnx needs. The loss is sentence-transformers'.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainingArguments

from export.errors import ExportError, library_errors
from export.tuning.batches import Batches
from export.tuning.callbacks import LastMeasurement, StopRequests, TimeLeft
from export.tuning.development import MEASURE, Development
from export.tuning.folder import RESULT_FILE, last_checkpoint
from export.tuning.pairs import Pair
from export.tuning.scores import Trained
from export.tuning.towers import Batch, TrainedTowers, cut

SCORE = "eval_score"

WARMUP_SHARE = 0.1
"""The share of the steps in which the learning rate rises."""


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The options of a training.

    Attributes:
        epochs: Maximum times that each pair is trained.
        batch: Pairs in a batch.
        learning_rate: The highest learning rate.
        evaluate_steps: Maximum steps between two measurements, each with a checkpoint; an epoch has at least one.
        patience: Measurements without a better score after which the training ends.
        seed: Decides the batches.
    """

    epochs: int
    batch: int
    learning_rate: float
    evaluate_steps: int
    patience: int
    seed: int


class Diverged(ExportError):
    """The loss is not a number; nothing of the training can be used."""


def train(
    model: TrainedTowers,
    make_pairs: Callable[[], Sequence[Pair]],
    development: Development,
    options: TrainingOptions,
    folder: Path,
    *,
    progress: Callable[[str], None],
) -> Trained:
    """Trains the weights of `model` in place; continues a training that `folder` has.

    Args:
        model: The untrained model.
        make_pairs: Returns the pairs to train with; called before the training.
        development: Measures the model.
        options: The options.
        folder: The folder for checkpoints.
        progress: Called with a line for each step.

    Raises:
        Diverged: The loss is not a number.
        ExportError: A library fails.
        KeyboardInterrupt: Ctrl-C or SIGTERM; `folder` has a checkpoint then.
    """
    result = folder / RESULT_FILE
    if result.is_file():
        progress("loading the weights of the finished training")
        weights, scores = _read(result)
        model.load_state_dict(weights, strict=False)
        return scores
    progress("measuring the development part before the training")
    before = development.score()
    with cut(model.source, model.max_tokens):
        pairs = make_pairs()
    model.prepare(pairs)
    checkpoint = last_checkpoint(folder)
    with library_errors("the training failed"), StopRequests() as stop:
        trainer = PairTrainer(model, pairs, development, options, folder, stop=stop, progress=progress)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    model.eval()
    if stop.arrived:
        raise KeyboardInterrupt(f"--resume continues after step {trainer.state.global_step}, from {folder}")
    best = trainer.state.best_metric
    scores = Trained(before, before if best is None else float(best))
    progress(f"development part: {MEASURE} {before:.3f} before, {scores.after:.3f} after")
    _write(result, model, scores)
    return scores


class Examples:
    """The pairs, by position and epoch."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Pair, int]:
        place, epoch = key
        return self._pairs[place], epoch


class PairTrainer(Trainer):
    """transformers' trainer with batches of pairs, and checkpoints without the weights that are not trained."""

    def __init__(
        self,
        model: TrainedTowers,
        pairs: Sequence[Pair],
        development: Development,
        options: TrainingOptions,
        folder: Path,
        *,
        stop: StopRequests,
        progress: Callable[[str], None],
    ) -> None:
        self._pairs = pairs
        self._development = development
        self._options = options
        batches = Batches(pairs, size=options.batch, apart=model.negatives_in_batch, seed=options.seed)
        portions = math.ceil(len(batches) / options.evaluate_steps)
        steps = math.ceil(len(batches) / portions)
        arguments = TrainingArguments(
            output_dir=str(folder),
            use_cpu=True,
            num_train_epochs=options.epochs,
            per_device_train_batch_size=options.batch,
            learning_rate=options.learning_rate,
            warmup_ratio=WARMUP_SHARE,
            weight_decay=0.01,
            seed=options.seed,
            eval_strategy="steps",
            eval_steps=steps,
            save_strategy="steps",
            save_steps=steps,
            save_total_limit=1,  # Besides the best one.
            load_best_model_at_end=True,
            metric_for_best_model=SCORE,
            greater_is_better=True,
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
        )
        examples = Examples(pairs)
        callbacks = [EarlyStoppingCallback(options.patience), TimeLeft(progress), LastMeasurement(), stop]
        super().__init__(model, arguments, train_dataset=examples, eval_dataset=examples, callbacks=callbacks)
        self.remove_callback(PrinterCallback)
        self._batches = batches

    def get_train_dataloader(self) -> Any:
        """Returns the batches."""
        loader = DataLoader(Examples(self._pairs), batch_sampler=self._batches, collate_fn=lambda pairs: pairs)
        return self.accelerator.prepare(loader)

    def compute_loss(self, model: Any, inputs: Batch, *_: Any, **__: Any) -> Any:
        """Returns the loss of a batch. Raises ExportError if it is not a number."""
        loss = model(inputs)["loss"]
        if not math.isfinite(loss.item()):
            raise Diverged(
                f"the training diverges: the loss of step {self.state.global_step + 1} is {loss.item()}; set "
                f"--learning-rate below {self._options.learning_rate:g}"
            )
        return loss

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measures the development part."""
        metrics = {SCORE: self._development.score()}
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _prepare_inputs(self, inputs: Any) -> Any:
        return inputs  # Texts need no device.

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, self.model.trained_weights())


def _write(path: Path, model: TrainedTowers, scores: Trained) -> None:
    weights = {name: each.contiguous() for name, each in model.trained_weights().items()}
    unfinished = path.with_suffix(".unfinished")
    metadata = {"before": str(scores.before), "after": str(scores.after)}
    safetensors.torch.save_file(weights, unfinished, metadata=metadata)
    unfinished.replace(path)


def _read(path: Path) -> tuple[dict[str, torch.Tensor], Trained]:
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dictionary
    return weights, Trained(float(metadata["before"]), float(metadata["after"]))
