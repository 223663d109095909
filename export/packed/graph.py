"""The packed graph of an encoder.

A run has N texts with T tokens in all, and L is at least the length of the longest text:

    input_ids     int64 [T]     the tokens of all texts, concatenated
    position_ids  int64 [T]     the position of each token in its text, from 0
    unpack        int64 [N, L]  for each position of each text, its row in T; after the text's end, its last row
    pack          int64 [T]     for each token, its row in N * L
    lengths       int32 [N]     the number of tokens of each text
    sentence_embedding  float32 [N, dimension]

Only attention unpacks the texts, so that texts cannot see each other; all else is computed on the T rows, without
padding. If L is a multiple of 8, a text's vector is bit-identical in any run: then the kernels compute all positions in
the same way.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from export.packed.builder import BuiltGraph, GraphBuilder
from export.packed.layer import LayerNodes
from export.packed.norm import layer_norm
from export.packed.products import Choice, Operand, Products
from export.packed.rounding import Rounding
from export.packed.weights import EncoderWeights, Linear, Stack
from server.encoding.manifest import Pooling
from server.encoding.session import OUTPUT


def packed_graph(
    weights: EncoderWeights,
    *,
    pooling: Pooling,
    dense: Linear | None = None,
    normalise: bool,
    quantize: Choice,
    rounding: Rounding | None = None,
) -> BuiltGraph:
    """Returns the graph of an encoder, including pooling and the steps after it.

    Args:
        weights: The encoder.
        pooling: `mean`, `cls` (the first token) or `lasttoken`.
        dense: The linear layer after the pooling, or None. It stays in fp32, because it is small.
        normalise: Whether the vectors get unit length.
        quantize: Returns whether the named product or table is INT8; the token embeddings are `embeddings.words`.
        rounding: Rounds the products' weights to bytes; None rounds to the nearest byte.
    """
    graph = GraphBuilder()
    products = Products(graph, quantize=quantize, rounding=rounding or Rounding())
    rows = _embeddings(graph, products, weights)
    first = 0
    for stack in weights.stacks:
        rows = _stack(graph, products, weights, stack, rows, first=first)
        first += len(stack.layers)
    if weights.final_norm is not None:
        rows = layer_norm(graph, rows, weights.final_norm, "final_norm")
    vectors = _pool(graph, rows, pooling)
    if dense is not None:
        vectors = graph.node("MatMul", vectors, graph.constant(dense.weight))
        if dense.bias is not None:
            vectors = graph.node("Add", vectors, graph.constant(dense.bias))
    if normalise:
        length = graph.node("ReduceL2", vectors, graph.constant(np.array([1], np.int64)), keepdims=1)
        vectors = graph.node("Div", vectors, length)
    graph.node("Identity", vectors, output=OUTPUT)
    dimension = (weights.stacks[-1].layers[-1].output if dense is None else dense).weight.shape[1]
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


def _embeddings(graph: GraphBuilder, products: Products, weights: EncoderWeights) -> str:
    # The token embeddings are most of a multilingual model's bytes.
    words = products.table(weights.words, "input_ids", "embeddings.words")
    if weights.positions is not None:
        positions = graph.node("Gather", graph.constant(weights.positions, "embeddings.positions"), "position_ids")
        words = graph.node("Add", words, positions)
    rows = layer_norm(graph, words, weights.embedding_norm, "embeddings.norm")
    if weights.projection is None:
        return rows
    return products.linear(Operand(rows), weights.projection, "projection")


def _stack(
    graph: GraphBuilder, products: Products, weights: EncoderWeights, stack: Stack, rows: str, *, first: int
) -> str:
    def once(rows: str) -> str:
        # Created here, because the names that it keeps are valid only inside the loop.
        nodes = LayerNodes(graph, products, heads=weights.heads, activation=weights.activation)
        for number, layer in enumerate(stack.layers, start=first):
            rows = nodes.apply(layer, rows, f"layers.{number}")
        return rows

    return graph.repeat(stack.times, rows, once)


def _pool(graph: GraphBuilder, rows: str, pooling: Pooling) -> str:
    """Pools the rows of each text into one vector."""
    column = {"cls": 0, "lasttoken": -1}.get(pooling)
    if column is not None:  # After a text's end `unpack` repeats its last row.
        index = graph.node("Gather", "unpack", graph.constant(np.array(column, np.int64)), axis=1)
        return graph.node("Gather", rows, index)
    # The mean is a product with one row of weights per text: 1 / length, and 0 after the text's end.
    zero, one = graph.constant(np.array(0, np.int64)), graph.constant(np.array(1, np.int64))
    width = graph.node("Gather", graph.node("Shape", "unpack"), one)
    places = graph.node("Cast", graph.node("Range", zero, width, one), to=TensorProto.INT32)
    axes = graph.constant(np.array([1], np.int64))
    length = graph.node("Unsqueeze", "lengths", axes)
    inside = graph.node("Cast", graph.node("Less", places, length), to=TensorProto.FLOAT)
    shares = graph.node("Div", inside, graph.node("Cast", length, to=TensorProto.FLOAT))
    mean = graph.node("MatMul", graph.node("Unsqueeze", shares, axes), graph.node("Gather", rows, "unpack"))
    return graph.node("Squeeze", mean, axes)
