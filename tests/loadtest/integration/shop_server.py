"""A server that is not ours: a shop, with unary and streaming methods, reflection, TLS and a token, in this process."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_reflection.v1alpha import reflection

from loadtest.requests.descriptors import pool_of, proto_descriptors
from loadtest.requests.method import Method, methods_of

SHOP = """
syntax = "proto3";
package shop;
import "shop/item.proto";
service Orders {
  rpc Get(GetRequest) returns (Order);
  rpc Watch(GetRequest) returns (stream Order);
  rpc Import(stream GetRequest) returns (Order);
  rpc Chat(stream GetRequest) returns (stream Order);
}
message GetRequest { string id = 1; int32 count = 2; repeated Item items = 3; string text = 4; }
message Order { string id = 1; int32 count = 2; }
"""
ITEM = 'syntax = "proto3"; package shop; message Item { string name = 1; }'


def write_protos(folder: Path) -> Path:
    """Writes the .proto files; returns the one with the service."""
    (folder / "shop").mkdir()
    (folder / "shop/item.proto").write_text(ITEM)
    (folder / "shop.proto").write_text(SHOP)
    return folder / "shop.proto"


class Shop(grpc.GenericRpcHandler):
    """Answers each message with an order of its id; keeps what it saw, and wants its token if it has one."""

    def __init__(self, methods: list[Method], token: str) -> None:
        self.seen: list[Any] = []
        self.metadata: dict[str, str] = {}
        self._methods = {method.path: method for method in methods}
        self._token = token

    def service(self, handler_call_details: Any) -> Any:
        """Returns the handler of one of the shop's methods."""
        method = self._methods.get(handler_call_details.method)
        if method is None:
            return None
        order = method.response_class

        async def admit(context: Any) -> None:
            self.metadata = {name: str(value) for name, value in context.invocation_metadata()}
            if self._token and self.metadata.get("authorization") != f"Bearer {self._token}":
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")

        async def one(request: Any, context: Any) -> Any:
            await admit(context)
            self.seen.append(request)
            return order(id=request.id, count=request.count)

        async def many(request: Any, context: Any) -> AsyncIterator[Any]:
            for _ in range(3):
                yield await one(request, context)

        async def collect(requests: Any, context: Any) -> Any:
            await admit(context)
            received = [request async for request in requests]
            self.seen += received
            return order(id=received[-1].id, count=len(received))

        async def chat(requests: Any, context: Any) -> AsyncIterator[Any]:
            async for request in requests:
                yield await one(request, context)

        makers = {
            "Get": (grpc.unary_unary_rpc_method_handler, one),
            "Watch": (grpc.unary_stream_rpc_method_handler, many),
            "Import": (grpc.stream_unary_rpc_method_handler, collect),
            "Chat": (grpc.stream_stream_rpc_method_handler, chat),
        }
        maker, handler = makers[method.name]
        serializer = order.SerializeToString
        return maker(handler, request_deserializer=method.request_class.FromString, response_serializer=serializer)


@contextlib.contextmanager
def shop_server(
    proto: Path,
    *,
    with_reflection: bool = True,
    token: str = "",
    credentials: grpc.ServerCredentials | None = None,
) -> Iterator[tuple[str, Shop]]:
    """Runs the shop on a thread; gives its address and the shop."""
    descriptors: FileDescriptorSet = proto_descriptors(proto)
    shop = Shop(methods_of(descriptors), token)
    started, address, loop = threading.Event(), [""], asyncio.new_event_loop()

    async def serve() -> None:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((shop,))
        if with_reflection:
            reflection.enable_server_reflection(["shop.Orders"], server, pool=pool_of(descriptors))
        port = (
            server.add_secure_port("127.0.0.1:0", credentials)
            if credentials
            else server.add_insecure_port("127.0.0.1:0")
        )
        address[0] = f"127.0.0.1:{port}"
        await server.start()
        started.set()
        await stop.wait()
        await server.stop(None)

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait()
    try:
        yield address[0], shop
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
