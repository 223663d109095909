"""Calls through gRPC's core: the thread that reads a connection takes the time of an answer and calls back.

`grpc.aio` hands a call through two threads, a socket and an event loop, which costs more than the call itself and adds
to its latency. This package drives the same core without them. It alone imports grpcio's compiled module, which is
private to grpcio and used here as in `grpc/_channel.py`.
"""
