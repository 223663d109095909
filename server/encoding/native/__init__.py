"""The packed INT8 encoder in C, for x86-64 CPUs with AVX-512 and VNNI; elsewhere ONNX Runtime runs the same weights.

`build` compiles the library, `library` finds and loads it, `architecture` says what it
can run, `weights` lays the weights of a bundle out for it, `encoder` runs it.
"""
