"""The ingress: answers gRPC calls with the server's services, over the shards of an index."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from ray import serve
from ray.serve.exceptions import RayServeException

from deploy.ray.asking import Asker
from deploy.ray.deployments import Handle, Index, log_to_stderr, result_of
from deploy.ray.encoding import RemoteBundle
from deploy.ray.options import IngressOptions
from deploy.ray.replicas import Answers, ShardCaller
from deploy.ray.services import Services, make_services
from deploy.ray.spans import Reached
from server.encoding.tokenizer import Tokens
from server.errors import NotReady
from server.metrics import Method
from server.rpc.errors import ROW_OF
from server.rpc.gate import Metadata
from server.rpc.local import CallFailed
from server.rpc.server import METHODS
from server.sharding.messages import Question

log = logging.getLogger(__name__)

NAME = "chaja"
"""The name of the application, and of its deployment."""

THREADS = 16
"""Threads of an ingress, each of which waits for the shards and encoders of one batch of texts."""

HEALTH = "grpc.health.v1.Health"

WAIT_SECONDS = 0.5
"""Time between two looks whether the index is there and ready."""

VERSION_SECONDS = 1.0
"""Time for which a health check waits for the version of the index."""

MOST_REQUEST_BYTES = 4 * 1024 * 1024
"""Bound of a request, as gRPC sets it for a server. Ray Serve's proxy takes messages of any size."""

NO_STREAMS = "shards take no streams of requests: call Search, BatchSearch or UpsertDocuments, or another server"

NO_WATCH = "Ray Serve sends each call to any ingress, so no health can be watched: call Check"


class RayReplica:
    """Calls a replica of a shard through the handle of its deployment, which has no other."""

    def __init__(self, handle: Handle, version: str) -> None:
        self._handle = handle
        self._version = version

    async def ask(self, question: Question) -> Answers | None:
        """Asks the replica."""
        answers: Answers | None = await result_of(self._handle.ask.remote(question, self._version))
        return answers

    async def reach(self, sequence: int) -> Reached:
        """Asks the replica for its states."""
        reached: Reached = await result_of(self._handle.reach.remote(sequence, self._version))
        return reached


class Serialized:
    """An answer that is serialized already. Ray Serve calls only this method of an answer."""

    def __init__(self, message: bytes) -> None:
        self._message = message

    def SerializeToString(self) -> bytes:  # noqa: N802  as a message of protobuf
        """Returns the message."""
        return self._message


class IngressDeployment:
    """Answers the methods of all services."""

    async def __init__(self, options: IngressOptions) -> None:  # type: ignore[misc]  # Ray Serve awaits it.
        """Starts; while another ingress serves, returns only when this one can replace it."""
        log_to_stderr()
        self._options = options
        self._encoder: Handle | None = None
        self._version = ""
        self._starting = asyncio.get_running_loop().create_task(self._start())
        while not (self._starting.done() and self._starting.result().is_complete):
            if not await asyncio.to_thread(_is_served):
                return
            await asyncio.sleep(WAIT_SECONDS)

    async def answer(self, path: str, request: Any, grpc_context: Any) -> Serialized:
        """Answers a unary call; sets its status and its trailers in the context."""

        def set_trailers(trailers: Metadata) -> None:
            grpc_context.set_trailing_metadata(list(trailers))

        try:
            services = await self._services()
            arguments = self._arguments(request, grpc_context)
            return Serialized(await services.call(path, **arguments, on_trailers=set_trailers))
        except CallFailed as error:
            _fail(grpc_context, error.code, str(error))
            set_trailers(error.trailers)
            return Serialized(b"")

    async def stream(self, path: str, request: Any, grpc_context: Any) -> AsyncGenerator[Serialized, None]:
        """Answers a call with a stream. If it fails, raises an error after it has set the status in the context."""
        try:
            services = await self._services()
            async with contextlib.aclosing(services.stream(path, **self._arguments(request, grpc_context))) as answers:
                async for answer in answers:
                    yield Serialized(answer)
        except CallFailed as error:
            _fail(grpc_context, error.code, str(error))
            raise RuntimeError(str(error)) from None

    async def check_health(self) -> None:
        """Raises an error if Ray must replace the replica: it is broken, or the arguments of the index have changed."""
        if not self._starting.done():
            return
        self._starting.result().check()
        assert self._encoder is not None, "it has started"
        with contextlib.suppress(Exception):  # An encoder that does not answer is no reason to restart.
            async with asyncio.timeout(VERSION_SECONDS):
                version = await result_of(self._encoder.version.remote())
            if version != self._version:
                log.error("the index is now %s, no longer %s", version, self._version)
                self._version = ""
        if not self._version:
            raise RuntimeError("the index has another version")

    async def _services(self) -> Services:
        """Returns the services once they have been made; raises CallFailed if that takes longer than a call may."""
        try:
            async with asyncio.timeout(self._options.call_seconds):
                return await asyncio.shield(self._starting)
        except TimeoutError:
            message = "the index is still loading; try again in a few seconds"
            raise CallFailed(grpc.StatusCode.UNAVAILABLE, ROW_OF[NotReady].reason, message) from None

    def _arguments(self, request: Any, grpc_context: Any) -> dict[str, Any]:
        """Returns the arguments of a call; raises CallFailed if the request is too large."""
        message = request.SerializeToString()
        if len(message) > MOST_REQUEST_BYTES:
            reason = f"the request has {len(message)} bytes; at most {MOST_REQUEST_BYTES} are allowed: send less"
            raise CallFailed(grpc.StatusCode.RESOURCE_EXHAUSTED, "", reason)
        return {
            "message": message,
            "metadata": grpc_context.invocation_metadata(),
            "peer": grpc_context.peer(),
            "seconds": self._options.call_seconds,
        }

    async def _start(self) -> Services:
        loop = asyncio.get_running_loop()
        # Requests are read in its threads, which wait for the shards.
        loop.set_default_executor(ThreadPoolExecutor(2 * THREADS, "ingress"))
        encoder = self._encoder = await self._find()
        index: Index = await result_of(encoder.index.remote())
        version = self._version = index.options.version
        settings = replace(index.options.settings, encode_workers=THREADS)

        async def encoded(tokens: Sequence[Tokens]) -> NDArray[np.float32]:
            vectors: NDArray[np.float32] = await result_of(encoder.encode.remote(tokens, version))
            return vectors

        def encode(tokens: Sequence[Tokens]) -> NDArray[np.float32]:
            return asyncio.run_coroutine_threadsafe(encoded(tokens), loop).result()

        bundle = await asyncio.to_thread(RemoteBundle, settings.bundle, encode, cutting=settings.cutting)
        asker = Asker(
            [ShardCaller([RayReplica(each, version) for each in replicas]) for replicas in index.shards],
            loop,
            hedge_seconds=self._options.hedge_seconds,
            most_seconds=self._options.shard_seconds,
        )
        return await make_services(settings, bundle, asker)

    async def _find(self) -> Handle:
        """Waits until the application with the index has been deployed; returns the handle of its encoders."""
        is_logged = False
        while True:
            try:
                return await asyncio.to_thread(serve.get_app_handle, self._options.index)
            except RayServeException:
                if not is_logged:
                    log.warning("waiting for the application %s, which has the index", self._options.index)
                is_logged = True
                await asyncio.sleep(WAIT_SECONDS)


def _unary(path: str) -> Callable[..., Any]:
    async def method(self: IngressDeployment, request: Any, grpc_context: Any) -> Serialized:
        return await self.answer(path, request, grpc_context)

    return method


def _stream(path: str) -> Callable[..., Any]:
    async def method(self: IngressDeployment, request: Any, grpc_context: Any) -> AsyncGenerator[Serialized, None]:
        async with contextlib.aclosing(self.stream(path, request, grpc_context)) as answers:
            async for answer in answers:
                yield answer

    return method


def _refused(reason: str) -> Callable[..., Any]:
    async def method(self: IngressDeployment, request: Any, grpc_context: Any) -> AsyncGenerator[Serialized, None]:
        _fail(grpc_context, grpc.StatusCode.UNIMPLEMENTED, reason)
        if reason:  # A generator, as Ray Serve expects of a stream.
            raise NotImplementedError(reason)
        yield Serialized(b"")

    return method


def _fail(grpc_context: Any, code: grpc.StatusCode, message: str) -> None:
    grpc_context.set_code(code)
    grpc_context.set_details(message)


# Ray Serve finds the method of a call by its name alone, so that the names of all services must differ.
for _service, _name, _kind in [*METHODS, Method(HEALTH, "Check", "unary")]:
    _answer = _unary if _kind == "unary" else _stream
    setattr(IngressDeployment, _name, _answer(f"/{_service}/{_name}"))
for _name in [*(method.name for method in METHODS if method.kind == "bidi_stream"), "Watch"]:
    setattr(IngressDeployment, _name, _refused(NO_WATCH if _name == "Watch" else NO_STREAMS))


def _is_served() -> bool:
    """Returns whether another ingress serves: calls need not wait for this one."""
    application = serve.status().applications.get(NAME)
    ingress = application.deployments.get(NAME) if application else None
    return ingress is not None and any(
        number and state == "RUNNING" for state, number in ingress.replica_states.items()
    )
