"""The deployments of an index: replicas of shards, and encoders."""

import asyncio
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from ray import serve
from ray.serve.handle import DeploymentHandle

from deploy.ray.options import IndexOptions
from deploy.ray.replicas import Answers
from deploy.ray.shard import ShardReplica
from deploy.ray.spans import Reached
from server.encoding.tokenizer import Tokens
from server.live.opening import open_bundle
from server.sharding.messages import Question

Handle = DeploymentHandle[Any]

REACH_SECONDS = 0.5
"""Time for which a shard waits for a change that it is asked to reach."""


class Index(NamedTuple):
    """An index as an ingress uses it: its arguments, and the handles of the replicas of each shard."""

    options: IndexOptions
    shards: Sequence[Sequence[Handle]]


class ShardDeployment:
    """A replica of one shard."""

    def __init__(self, options: IndexOptions, number: int) -> None:
        log_to_stderr()
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
    """An encoder of queries and documents, which also answers ingresses that look for the index."""

    def __init__(self, options: IndexOptions, shards: Sequence[Sequence[Handle]]) -> None:
        log_to_stderr()
        self._index = Index(options, shards)
        self._version = options.version
        self._bundle = open_bundle(options.settings)

    async def index(self) -> Index:
        """Returns the index."""
        return self._index

    async def version(self) -> str:
        """Returns the version of the index."""
        return self._version

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


async def result_of(response: Any) -> Any:
    """Returns the answer of a replica; cancels the call if its caller is cancelled."""
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise


def log_to_stderr() -> None:
    """Logs to the standard error of a replica."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def _check_version(asked: str, own: str) -> None:
    """Raises RuntimeError if the arguments of the index have changed, and old replicas meet new ones."""
    if asked != own:
        raise RuntimeError(f"this replica has the index {own}, not {asked}")
