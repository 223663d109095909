"""Exports the fp32 graph with optimum: token ids in, pooled vectors out."""

from __future__ import annotations

import tempfile
from pathlib import Path

from export.errors import library_errors
from export.source import SourceModel
from server.encoding.session import OUTPUT


def export_graph(source: SourceModel, directory: Path) -> Path:
    """Exports `source` to `directory`/model.onnx, with pooling and normalisation in the graph.

    The graph takes `input_ids` and `attention_mask` `[N, L]` and returns `[N, dimension]`.

    Raises:
        ExportError: optimum does not support the architecture.
    """
    from optimum.exporters.onnx import main_export

    with tempfile.TemporaryDirectory() as temporary:
        # optimum exports files, and the model in memory may have an added normalisation.
        source.model.save(temporary, create_model_card=False)
        with library_errors(f"optimum cannot export {source.name}"):
            main_export(
                temporary,
                directory,
                task="feature-extraction",
                library_name="sentence_transformers",
                do_validation=False,
            )
    _keep_only_pooled(directory / "model.onnx", source.dimension)
    return directory / "model.onnx"


def _keep_only_pooled(path: Path, dimension: int) -> None:
    """Removes the token vectors from the outputs: they are not needed, and every run would copy them.

    It also sets the dimension of the remaining output, which the tracer does not always know.
    """
    import onnx

    model = onnx.load(str(path))
    (output,) = (output for output in model.graph.output if output.name == OUTPUT)
    output.type.tensor_type.shape.dim[1].dim_value = dimension
    del model.graph.output[:]
    model.graph.output.append(output)
    onnx.save(model, str(path))
