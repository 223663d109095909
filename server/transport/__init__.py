"""gRPC over HTTP/2 for handlers of grpc.aio, on one asyncio event loop and without a thread.

gRPC's own library takes several times the CPU for a call (`python -m benchmarks.transport`). What a handler sees
is the same: `context` offers what `grpc.aio.ServicerContext` does. From the socket inwards:

    server      listens; holds the handlers; stops
    tls         asks for the certificates of every new connection
    connection  one client: what the frames of calls mean; `control` has those of the connection
    frames      cuts bytes into frames
    headers     remembers header blocks; `decoder` decodes them; `request` says what a call needs of them
    response    writes header blocks; `metadata` and messages as they are on the wire
    outbox      sends: one write a turn of the loop, within the client's windows
    call        one call: its messages in and out, its end
    messages    cuts DATA into messages, compressed ones too
    running     calls the method of a handler; `context` is what it gets
    deadlines   ends calls whose time is up
    lifetime    how long a connection may say nothing, and when it has to go
    abuse       what a client may do often, but not that often

Sources: RFC 9113 (HTTP/2), RFC 7541 (HPACK), https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""
