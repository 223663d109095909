"""Builds the packed graph: texts laid end to end in one row of tokens, so that no padding is computed.

`weights` says what an encoder consists of, `architectures` reads it out of a
transformers model, `builder` writes ONNX nodes, `graph` puts the encoder together
out of `attention`, `layer` and their parts. An architecture that is not known here is
exported by optimum instead.
"""
