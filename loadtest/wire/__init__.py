"""gRPC over HTTP/2 as far as a load tester needs it, on one asyncio event loop and without a thread.

A call's answer is timed when its bytes come out of the socket. In gRPC's own Python library it passes three threads
first, which would be measured as the server's time, and it takes three times the CPU (`make bench-loadtest`).
Sources: RFC 9113 (HTTP/2), RFC 7541 (HPACK), https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""
