"""Turns a bi-encoder into a bundle: an INT8 ONNX graph, its tokenizer and all that the server must know.

The way of a model: `opening` (or `dpr`) opens it, `source` knows it, `towers` holds one or
two of them, `graphs` exports each and makes it INT8, `measure` compares them with the
originals, `bundle` writes the directory. The bundle is verified with the server's own
encoder. Heavy libraries are imported only when used.
"""
