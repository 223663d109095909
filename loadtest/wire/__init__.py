"""gRPC over HTTP/2 as far as a load tester needs it, on one asyncio event loop and without a thread.

A call's answer is timed when its bytes come out of the socket. In gRPC's own Python library it passes three threads
first: 0.4 ms at a low rate, which would be measured as the server's, and five times the CPU (`make bench-loadtest`
measures it beside h2load; docs/loadtest.md has the figures, of the library h2 too).
Sources: RFC 9113 (HTTP/2), RFC 7541 (HPACK), https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""
