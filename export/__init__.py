"""Turns a bi-encoder into a bundle: an INT8 ONNX graph, its tokenizer and all that the server must know.

The way of a model: `source` opens it, `graph` exports it, `quantize` makes it INT8,
`measure` compares it with the original, `bundle` writes the directory. The bundle is
verified with the server's own encoder. Heavy libraries are imported only when used.
"""
