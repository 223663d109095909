"""The packed INT8 encoder in C, for x86-64 CPUs with AVX-512 and VNNI. On others ONNX Runtime runs the same weights."""
