"""Turns a bi-encoder into a bundle: an INT8 ONNX graph, its tokenizer and everything else that the server needs.

An export takes these steps: `opening` (or `dpr`) opens the model, `source` wraps it, `towers` holds one or two models,
`graphs` exports and quantizes each, `quality` compares them with the originals, and `bundle` writes the directory and
verifies it with the server's encoder. Heavy libraries are imported only when used.
"""
