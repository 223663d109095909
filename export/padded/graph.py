"""Exports the fp32 graph with optimum: token ids in, pooled vectors out."""

from __future__ import annotations

from pathlib import Path

from export.errors import library_errors
from export.source import SourceModel
from server.encoding.session import OUTPUT

LIBRARY = "sentence_transformers"
"""The library of the models, by the name that optimum gives it."""


def export_graph(source: SourceModel, directory: Path) -> Path:
    """Exports `source` to `directory`/model.onnx, with pooling and normalisation in the graph.

    The graph takes `input_ids` and `attention_mask` `[N, L]` and returns whole vectors. It is made from the model
    in memory: reading a saved copy again may give another model, since some configurations change at each reading
    (transformers halves the attention window of a bidirectional Gemma 3).

    Raises:
        ExportError: optimum does not support the architecture.
    """
    from optimum.exporters.onnx import export
    from optimum.exporters.tasks import TasksManager

    path = directory / "model.onnx"
    with library_errors(f"optimum cannot export {source.name}"):
        TasksManager.standardize_model_attributes(source.model, library_name=LIBRARY)
        configuration = TasksManager.get_exporter_config_constructor(
            "onnx", source.model, task="feature-extraction", library_name=LIBRARY
        )
        export(source.model, configuration(source.model.config), path)
    _keep_only_pooled(path, source.whole_dimension)
    return path


def _keep_only_pooled(path: Path, dimension: int) -> None:
    """Removes the token vectors from the outputs: they are not needed, and every run would copy them.

    It also sets the dimension of the remaining output, which the tracer does not always know.
    """
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    (output,) = (output for output in model.graph.output if output.name == OUTPUT)
    output.type.tensor_type.shape.dim[1].dim_value = dimension
    del model.graph.output[:]
    model.graph.output.append(output)
    onnx.save(model, str(path))
