"""The packed graph of an encoder.

A run holds N texts of T tokens in all, and L is at least the length of the longest:

    input_ids     int64 [T]     the tokens of all texts, end to end
    position_ids  int64 [T]     the place of each token in its text, from 0
    unpack        int64 [N, L]  for each place of each text its row among the T; behind its end the last one again
    pack          int64 [T]     for each token its row among the N * L
    lengths       int32 [N]     the number of tokens of each text
    sentence_embedding  float32 [N, dimension]

All is computed on the T rows but attention, for which the texts are unpacked: so
no padding is computed elsewhere, and texts cannot see each other. When L is a
multiple of 8 a text's vector is the same to the last bit in any run: the kernels
then never treat its last places apart.

Of the bias of keys nothing is left behind softmax, and that of values passes through
it unchanged (its weights sum up to 1), so the one is dropped and the other moved
behind the product that follows. Layer normalisation is written as Add and
LayerNormalization, which is four times as fast in ONNX Runtime 1.32 as its fused
SkipLayerNormalization.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.packed.builder import MICROSOFT, GraphBuilder, Products, quantize_columns
from export.packed.weights import EncoderWeights, Layer, Linear, Norm
from server.encoding.manifest import Pooling
from server.encoding.session import OUTPUT

GELU_LOWEST = -0.17
"""Below the lowest value of Gelu, -0.169971."""


def packed_graph(
    weights: EncoderWeights, *, pooling: Pooling, dense: Linear | None = None, normalise: bool, quantize: bool
) -> onnx.ModelProto:
    """Returns the graph of an encoder with pooling and all that is behind it inside.

    Args:
        weights: The encoder.
        pooling: `mean`, `cls` (the first token) or `lasttoken`.
        dense: The linear layer behind the pooling, if there is one. It stays in fp32: it is small.
        normalise: Whether the vectors get unit length.
        quantize: Whether products and embedding tables are INT8.
    """
    graph = GraphBuilder()
    products = Products(graph, quantize=quantize)
    rows = _embeddings(graph, products, weights, quantize=quantize)
    for layer in weights.layers:
        rows = _layer(graph, products, layer, rows, heads=weights.heads)
    vectors = _pool(graph, rows, pooling)
    if dense is not None:
        vectors = graph.node("MatMul", vectors, graph.constant(dense.weight))
        vectors = graph.node("Add", vectors, graph.constant(dense.bias))
    if normalise:
        length = graph.node("ReduceL2", vectors, graph.constant(np.array([1], np.int64)), keepdims=1)
        vectors = graph.node("Div", vectors, length)
    graph.node("Identity", vectors, output=OUTPUT)
    dimension = (weights.layers[-1].output if dense is None else dense).bias.shape[0]
    return graph.model(
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["T"]),
            helper.make_tensor_value_info("position_ids", TensorProto.INT64, ["T"]),
            helper.make_tensor_value_info("unpack", TensorProto.INT64, ["N", "L"]),
            helper.make_tensor_value_info("pack", TensorProto.INT64, ["T"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["N"]),
        ],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", dimension])],
    )


def _embeddings(graph: GraphBuilder, products: Products, weights: EncoderWeights, *, quantize: bool) -> str:
    if quantize:
        # Multilingual models have most of their bytes here. One scale for each word.
        table, scale = quantize_columns(weights.words.T)
        words = graph.node("Gather", graph.constant(table.T), "input_ids")
        scales = graph.node("Gather", graph.constant(scale[:, None]), "input_ids")
        words = graph.node("Mul", graph.node("Cast", words, to=TensorProto.FLOAT), scales)
    else:
        words = graph.node("Gather", graph.constant(weights.words), "input_ids")
    positions = graph.node("Gather", graph.constant(weights.positions), "position_ids")
    rows = _norm(graph, graph.node("Add", words, positions), weights.embedding_norm)
    if weights.projection is None:
        return rows
    projected = products.product(products.operand(rows), weights.projection.weight)
    return graph.node("Add", projected, graph.constant(weights.projection.bias))


def _layer(graph: GraphBuilder, products: Products, layer: Layer, rows: str, *, heads: int) -> str:
    heads_rows = _attention(graph, products, layer, rows, heads=heads)
    attended = products.product(products.operand(heads_rows), layer.attention_output.weight)
    bias = layer.attention_output.bias + layer.value.bias @ layer.attention_output.weight
    attended = graph.node("Add", attended, graph.constant(bias))
    rows = _norm(graph, graph.node("Add", attended, rows), layer.attention_norm)
    inner = products.product(products.operand(rows), layer.intermediate.weight)
    inner = graph.node("BiasGelu", inner, graph.constant(layer.intermediate.bias), domain=MICROSOFT)
    output = products.product(products.operand(inner, lowest=GELU_LOWEST), layer.output.weight)
    output = graph.node("Add", output, graph.constant(layer.output.bias))
    return _norm(graph, graph.node("Add", output, rows), layer.output_norm)


def _attention(graph: GraphBuilder, products: Products, layer: Layer, rows: str, *, heads: int) -> str:
    """Returns the heads' values side by side `[T, hidden]`, without the bias of values."""
    weight = np.concatenate([layer.query.weight, layer.key.weight, layer.value.weight], axis=1)
    packed = products.product(products.operand(rows), weight)
    query, key, value = graph.split(graph.node("Gather", packed, "unpack"), 3, axis=2)
    query = graph.node("Add", query, graph.constant(layer.query.bias))
    attended = graph.node("MultiHeadAttention", query, key, value, "", "lengths", domain=MICROSOFT, num_heads=heads)
    hidden = layer.value.bias.shape[0]
    attended = graph.node("Reshape", attended, graph.constant(np.array([-1, hidden], np.int64)))
    return graph.node("Gather", attended, "pack")


def _norm(graph: GraphBuilder, rows: str, norm: Norm) -> str:
    gain, bias = graph.constant(norm.gain), graph.constant(norm.bias)
    return graph.node("LayerNormalization", rows, gain, bias, axis=-1, epsilon=norm.epsilon)


def _pool(graph: GraphBuilder, rows: str, pooling: Pooling) -> str:
    """Makes one vector of each text's rows."""
    column = {"cls": 0, "lasttoken": -1}.get(pooling)
    if column is not None:  # Behind a text's end `unpack` repeats its last row.
        index = graph.node("Gather", "unpack", graph.constant(np.array(column, np.int64)), axis=1)
        return graph.node("Gather", rows, index)
    # The mean as a product of one row of weights a text: 1 / length, and 0 behind its end.
    zero, one = graph.constant(np.array(0, np.int64)), graph.constant(np.array(1, np.int64))
    width = graph.node("Gather", graph.node("Shape", "unpack"), one)
    places = graph.node("Cast", graph.node("Range", zero, width, one), to=TensorProto.INT32)
    axes = graph.constant(np.array([1], np.int64))
    length = graph.node("Unsqueeze", "lengths", axes)
    inside = graph.node("Cast", graph.node("Less", places, length), to=TensorProto.FLOAT)
    shares = graph.node("Div", inside, graph.node("Cast", length, to=TensorProto.FLOAT))
    mean = graph.node("MatMul", graph.node("Unsqueeze", shares, axes), graph.node("Gather", rows, "unpack"))
    return graph.node("Squeeze", mean, axes)
