"""Builds the packed graph: the tokens of all texts are concatenated, so that no padding is computed.

`weights` defines the parts of an encoder, `architectures` reads them from a transformers model, `builder` writes ONNX
nodes, and `graph` builds the encoder from `attention` and `layer`. optimum exports all other architectures.
"""
