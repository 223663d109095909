"""The forms of a model that the benchmark of encoders compares, and each form's tokens of the queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import contenders
from benchmarks.contenders import Workload
from export.calibration import calibration_texts
from export.cpu import default_preset
from export.graphs import open_graphs
from export.recipe import Recipe
from export.source import SourceModel
from server.encoding.kind import TextKind
from server.encoding.segmenter import TOKENIZER_FILE
from server.encoding.tokenizer import Tokenizer


@dataclass(frozen=True)
class Form:
    """A form of the model: its file or directory, and the queries as tokens of its vocabulary."""

    place: Path
    workload: Workload


def build_forms(source: SourceModel, queries: Sequence[str], directory: Path) -> dict[str, Form]:
    """Writes every form of a model to a directory; returns the forms by contender.

    Chaja's forms have the bundle's vocabulary, which may be trimmed; the others have the model's. All forms read the
    queries with the model's query prefix.
    """
    folders = {name: directory / name for name in ("torch", "padded", "stock", "packed", "ours")}
    for folder in folders.values():
        folder.mkdir()
    source.model.save(str(folders["torch"]), create_model_card=False)

    dynamic = Recipe(quantization="dynamic", preset=default_preset())
    padded = open_graphs(source, folders["padded"], dynamic, progress=lambda step: None)
    per_token = Recipe(quantization="per-token", preset=default_preset(), calibration=calibration_texts(None))
    packed = open_graphs(source, folders["packed"], per_token, progress=lambda step: None)
    texts = [source.prefixes[TextKind.QUERY] + query for query in queries]
    whole = Workload(texts, source.token_ids(queries))
    ours = Form(
        packed.quantize(folders["ours"], []), Workload(texts, _bundle_token_ids(source, queries, folders["ours"]))
    )
    return {
        contenders.TORCH: Form(folders["torch"], whole),
        contenders.FP32: Form(padded.fp32, whole),
        contenders.STOCK: Form(_quantized_by_optimum(padded.fp32, folders["stock"]), whole),
        contenders.PACKED: ours,
        contenders.NATIVE: ours,
    }


def _bundle_token_ids(source: SourceModel, queries: Sequence[str], folder: Path) -> list[list[int]]:
    source.save_tokenizer(folder / TOKENIZER_FILE, trimmed=True)
    tokenizer = Tokenizer(folder / TOKENIZER_FILE, prefixes=source.prefixes, max_tokens=source.max_tokens)
    return [tokens.ids for tokens in tokenizer.tokenize([(query, TextKind.QUERY) for query in queries])]


def _quantized_by_optimum(fp32: Path, directory: Path) -> Path:
    """Writes a graph in optimum's dynamic INT8, with the unchanged preset of this CPU; returns its path.

    The exporter's `--quantization dynamic` differs in one point: it keeps the products within attention in fp32.
    """
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    preset = getattr(AutoQuantizationConfig, default_preset())(is_static=False)
    quantizer = ORTQuantizer.from_pretrained(fp32.parent, file_name=fp32.name)
    quantizer.quantize(save_dir=directory, quantization_config=preset)
    return directory / f"{fp32.stem}_quantized.onnx"
