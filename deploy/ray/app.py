"""The application of Ray Serve: shards, encoders, and ingresses that answer gRPC.

    serve run deploy.ray.app:app bundle=/srv/bundle data=postgresql://… shards=2

README.md beside this file says how to run it.
"""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from ray import serve
from ray.serve.handle import DeploymentHandle

from deploy.ray.asking import Asker
from deploy.ray.encoding import RemoteBundle
from deploy.ray.replicas import Answers, ShardCaller
from deploy.ray.services import Services, make_services
from deploy.ray.shard import ShardReplica
from deploy.ray.spans import Reached
from server.catalogue.location import DatabaseUrl
from server.command_line import parse_settings
from server.encoding.manifest import read_manifest
from server.encoding.tokenizer import Tokens
from server.errors import SettingsError
from server.live.opening import open_bundle
from server.rpc.local import CallFailed
from server.rpc.server import METHODS, SERVICES
from server.settings import Settings
from server.sharding.messages import Question

Handle = DeploymentHandle[Any]

NAME = "chaja"
"""The name of the application."""

SERVICERS = [
    *(f"chaja.v1.add_{service.name}Servicer_to_server" for service in SERVICES),
    "grpc_health.v1.health_pb2_grpc.add_HealthServicer_to_server",
]
"""The functions that register the services with Ray Serve's gRPC proxy: `grpc_servicer_functions` of its options."""

THREADS = 16
"""Threads of an ingress, each of which waits for the shards and encoders of one batch of texts."""

HEALTH_METHODS = ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"]

REACH_SECONDS = 0.5
"""Time for which a shard waits for a change that it is asked to reach."""

NO_STREAMS = "Ray Serve answers calls with one request and one answer: use a server, or unary methods"


class Options(BaseModel):
    """The arguments of the application, which `serve run` takes as `name=value`.

    Attributes:
        bundle: Directory of the bundle, at the same place on all machines.
        data: URL of the database.
        shards: Number of shards. Another number is another application: every shard loads other documents.
        replicas: Replicas of each shard.
        encoders: Replicas that encode texts.
        ingresses: Replicas that answer calls.
        shard_cpus: CPUs of each replica of a shard.
        encoder_cpus: CPUs of each encoder.
        ingress_cpus: CPUs of each ingress.
        shard_seconds: Time for which a call waits for a shard.
        hedge_seconds: Time after which a second replica of a shard is asked; 0 takes the 95th percentile of answers.
        call_seconds: Longest time of a call. Ray Serve does not pass on the deadlines of clients, but their ends.
        flags: Further flags of the server, such as `--title-weight 0.9`.
    """

    model_config = ConfigDict(extra="forbid")

    bundle: str
    data: str
    shards: int = Field(default=1, ge=1)
    replicas: int = Field(default=1, ge=1)
    encoders: int = Field(default=1, ge=1)
    ingresses: int = Field(default=1, ge=1)
    shard_cpus: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    encoder_cpus: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    ingress_cpus: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    shard_seconds: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    hedge_seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    call_seconds: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    flags: str = ""

    @property
    def cpus(self) -> float:
        """The CPUs of all replicas."""
        shards = self.shards * self.replicas * self.shard_cpus
        return shards + self.encoders * self.encoder_cpus + self.ingresses * self.ingress_cpus

    @property
    def version(self) -> str:
        """Differs between applications whose replicas must not answer each other's calls; raises BundleError."""
        settings = self.settings
        return f"{read_manifest(settings.bundle, cutting=settings.cutting).revision} in {self.shards} shards"

    @property
    def settings(self) -> Settings:
        """The settings of the server; raises SettingsError."""
        settings = parse_settings(["--bundle", self.bundle, "--data", self.data, *self.flags.split()])
        if not isinstance(settings.data, DatabaseUrl):
            raise SettingsError(f"data is {self.data!r}; shards follow a database: set it to postgresql://…")
        return settings


class ShardDeployment:
    """A replica of one shard."""

    def __init__(self, options: Options, number: int) -> None:
        _log_to_stderr()
        self._version = options.version
        self._folder = tempfile.TemporaryDirectory(prefix="chaja-shard-")
        self._replica = ShardReplica(
            options.settings, number=number, count=options.shards, folder=Path(self._folder.name)
        )

    async def ask(self, question: Question, version: str) -> Answers | None:
        """Answers a question; None if this replica does not have the state that it is about."""
        _check_version(version, self._version)
        return await asyncio.to_thread(self._replica.ask, question)

    async def reach(self, sequence: int, version: str) -> Reached:
        """Waits a moment until the replica has read a change; returns the states that it has."""
        _check_version(version, self._version)
        return await asyncio.to_thread(self._replica.reach, sequence, seconds=REACH_SECONDS)

    def check_health(self) -> None:
        """Raises an error if Ray must replace the replica."""
        self._replica.check()

    def __del__(self) -> None:
        """Closes the replica, and removes its files. Ray Serve calls it when it ends a replica."""
        if hasattr(self, "_replica"):  # Otherwise it has not started.
            self._replica.close()
        if hasattr(self, "_folder"):
            self._folder.cleanup()


class EncoderDeployment:
    """An encoder of queries and documents."""

    def __init__(self, options: Options) -> None:
        _log_to_stderr()
        self._version = options.version
        self._bundle = open_bundle(options.settings)

    async def encode(self, tokens: Sequence[Tokens], version: str) -> NDArray[np.float32]:
        """Returns the vectors of texts."""
        _check_version(version, self._version)
        vectors: NDArray[np.float32] = await self._encode_all(tokens)
        return vectors

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.0)
    async def _encode_all(self, calls: Sequence[Sequence[Tokens]]) -> list[NDArray[np.float32]]:
        """Returns the vectors of the texts of each call. They do not depend on what is encoded together."""
        vectors = await asyncio.to_thread(self._bundle.encode, [text for call in calls for text in call])
        return np.split(vectors, np.cumsum([len(call) for call in calls])[:-1])


class RayReplica:
    """Calls a replica of a shard through the handle of its deployment, which has no other."""

    def __init__(self, handle: Handle, version: str) -> None:
        self._handle = handle
        self._version = version

    async def ask(self, question: Question) -> Answers | None:
        """Asks the replica."""
        answers: Answers | None = await _result(self._handle.ask.remote(question, self._version))
        return answers

    async def reach(self, sequence: int) -> Reached:
        """Asks the replica for its states."""
        reached: Reached = await _result(self._handle.reach.remote(sequence, self._version))
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

    def __init__(self, options: Options, shards: Sequence[Sequence[Handle]], encoder: Handle) -> None:
        _log_to_stderr()
        self._options = options
        self._starting = asyncio.get_running_loop().create_task(self._start(shards, encoder))

    async def answer(self, path: str, request: Any, grpc_context: Any) -> Serialized:
        """Answers a unary call; sets its status and its trailers in the context."""
        services = await asyncio.shield(self._starting)
        try:
            message = await services.call(
                path,
                request.SerializeToString(),
                metadata=grpc_context.invocation_metadata(),
                peer=grpc_context.peer(),
                seconds=self._options.call_seconds,
            )
        except CallFailed as error:
            grpc_context.set_code(error.code)
            grpc_context.set_details(str(error))
            grpc_context.set_trailing_metadata(list(error.trailers))
            return Serialized(b"")
        return Serialized(message)

    async def check_health(self) -> None:
        """Raises an error if Ray must replace the replica."""
        if self._starting.done():
            self._starting.result().check()

    async def _start(self, shards: Sequence[Sequence[Handle]], encoder: Handle) -> Services:
        loop = asyncio.get_running_loop()
        # Requests are read in its threads, which wait for the shards.
        loop.set_default_executor(ThreadPoolExecutor(2 * THREADS, "ingress"))
        settings, version = replace(self._options.settings, encode_workers=THREADS), self._options.version

        async def encoded(tokens: Sequence[Tokens]) -> NDArray[np.float32]:
            vectors: NDArray[np.float32] = await _result(encoder.encode.remote(tokens, version))
            return vectors

        def encode(tokens: Sequence[Tokens]) -> NDArray[np.float32]:
            return asyncio.run_coroutine_threadsafe(encoded(tokens), loop).result()

        bundle = await asyncio.to_thread(RemoteBundle, settings.bundle, encode, cutting=settings.cutting)
        asker = Asker(
            [ShardCaller([RayReplica(each, version) for each in replicas]) for replicas in shards],
            loop,
            hedge_seconds=self._options.hedge_seconds,
            most_seconds=self._options.shard_seconds,
        )
        return await make_services(settings, bundle, asker)


def _unary(path: str) -> Callable[..., Any]:
    async def method(self: IngressDeployment, request: Any, grpc_context: Any) -> Serialized:
        return await self.answer(path, request, grpc_context)

    return method


def _stream(path: str) -> Callable[..., Any]:
    async def method(self: IngressDeployment, request: Any, grpc_context: Any) -> AsyncIterator[Serialized]:
        grpc_context.set_code(grpc.StatusCode.UNIMPLEMENTED)
        grpc_context.set_details(NO_STREAMS)
        if path:  # A generator, as Ray Serve expects of a stream.
            raise NotImplementedError(path)
        yield Serialized(b"")

    return method


# Ray Serve finds the method of a call by its name alone, so that the names of all services must differ.
for _service, _name, _kind in METHODS:
    setattr(IngressDeployment, _name, (_unary if _kind == "unary" else _stream)(f"/{_service}/{_name}"))
for _path, _make in zip(HEALTH_METHODS, (_unary, _stream), strict=True):
    setattr(IngressDeployment, _path.rpartition("/")[2], _make(_path))


def app(options: Options) -> serve.Application:
    """Returns the application."""
    _ = options.version  # Wrong flags are an error here, not in each replica.

    def deployment(kind: type, name: str, *, replicas: int = 1, cpus: float, calls: int) -> serve.Deployment:
        return serve.deployment(
            name=name,
            num_replicas=replicas,
            max_ongoing_requests=calls,
            ray_actor_options={"num_cpus": cpus},
            health_check_period_s=2,
            health_check_timeout_s=10,
            graceful_shutdown_wait_loop_s=0.5,
            graceful_shutdown_timeout_s=10,
        )(kind)

    # Each replica is a deployment, so that an ingress chooses which one it asks, and a hedged call goes to another.
    shards = [
        [
            deployment(ShardDeployment, f"shard-{number}-{replica}", cpus=options.shard_cpus, calls=64).bind(
                options, number
            )
            for replica in range(options.replicas)
        ]
        for number in range(options.shards)
    ]
    encoder = deployment(
        EncoderDeployment, "encoder", replicas=options.encoders, cpus=options.encoder_cpus, calls=64
    ).bind(options)
    ingress = deployment(IngressDeployment, "ingress", replicas=options.ingresses, cpus=options.ingress_cpus, calls=256)
    return ingress.bind(options, shards, encoder)


def _check_version(asked: str, own: str) -> None:
    """Raises RuntimeError during an update of the application, when old replicas meet new ones."""
    if asked != own:
        raise RuntimeError(f"this replica has bundle {own}, not {asked}")


async def _result(response: Any) -> Any:
    """Returns the answer of a replica; cancels the call if its caller is cancelled."""
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
