"""The packed INT8 encoder in C, for x86-64 CPUs with AVX-512 and VNNI; elsewhere ONNX Runtime runs the same weights."""
