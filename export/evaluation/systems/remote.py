"""A running server, asked through the client `chaja`, in each mode."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from chaja import Client, connect
from chaja.v1 import GetServerInfoRequest, SearchRequest
from chaja.v1 import Mode as ProtocolMode
from export.errors import ExportError
from export.evaluation.runs import DEPTH
from server.ranking.options import Mode

MODES = {
    Mode.DENSE: ProtocolMode.MODE_DENSE,
    Mode.LEXICAL: ProtocolMode.MODE_LEXICAL,
    Mode.HYBRID: ProtocolMode.MODE_HYBRID,
}

STREAM_SECONDS = 600.0
"""Deadline of all queries of a mode together."""

INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT.value[0]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server's address and the options of the connection; the files are in PEM. Any of them, or `tls`, means TLS."""

    address: str
    token: str = field(default="", repr=False)
    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @contextlib.contextmanager
    def connected(self) -> Iterator[Client]:
        """Yields a client of a server that has answered.

        Raises:
            ExportError: The address, the token or a file is invalid, or the server does not answer.
        """
        try:
            client = connect(self.address, credentials=self._credentials(), token=self.token or None)
        except ValueError as error:
            raise ExportError(f"--server {self.address}: {error}") from None
        with client:
            try:
                client.info.GetServerInfo(GetServerInfoRequest())
            except grpc.RpcError as error:
                raise self.failed(error) from None
            yield client

    def failed(self, error: grpc.RpcError) -> ExportError:
        """Returns the error of a failed call."""
        code, details = error.code(), error.details()
        return ExportError(f"the server {self.address} does not answer: {code.name}: {details}")

    def _credentials(self) -> grpc.ChannelCredentials | None:
        files = [self.ca, self.key, self.certificate]
        if not self.tls and not any(files):
            return None
        try:
            ca, key, certificate = (None if path is None else path.read_bytes() for path in files)
        except OSError as error:
            raise ExportError(f"{error.filename} cannot be read: {error.strerror}") from None
        return grpc.ssl_channel_credentials(ca, key, certificate)


class ServerSystem:
    """A mode of a running server, with its own catalogue, synonyms, rules and interpretation of queries."""

    def __init__(
        self, name: str, target: Target, client: Client, mode: Mode, *, known: frozenset[str], labels: bool
    ) -> None:
        """Sends nothing yet. `known` are the ids of the documents; with `labels`, other systems are given some."""
        self.name = name
        self.note = ""
        self._target = target
        self._client = client
        self._mode = MODES[mode]
        self._known = known
        self._labels = labels

    def search(self, queries: Sequence[str]) -> list[list[str]]:
        """Returns for each query the ids of the best documents; none if the server refuses it as invalid.

        Raises:
            ExportError: The server does not answer, or has none of the documents.
        """
        limit = min(DEPTH, self._client.info.GetServerInfo(GetServerInfoRequest()).limits.max_limit)
        mask = FieldMask(paths=["document_id"])
        requests = (SearchRequest(query=text, limit=limit, mode=self._mode, read_mask=mask) for text in queries)
        found: list[list[str]] = []
        refused: list[str] = []
        try:
            for answer in self._client.search.SearchStream(requests, timeout=STREAM_SECONDS):
                if answer.HasField("error"):
                    if answer.error.code != INVALID_ARGUMENT:
                        raise ExportError(f"the server {self._target.address} rejects a query: {answer.error.message}")
                    refused.append(answer.error.message)
                found.append([hit.document_id for hit in answer.response.hits])
        except grpc.RpcError as error:
            raise self._target.failed(error) from None
        self._check(found, refused, limit)
        return found

    def _check(self, found: Sequence[Sequence[str]], refused: Sequence[str], limit: int) -> None:
        """Raises ExportError if the server has none of the documents, and notes what else may surprise."""
        ids = {id for each in found for id in each}
        if ids and not ids & self._known:
            raise ExportError(
                f"the server {self._target.address} has none of the documents: import the catalogue that is evaluated"
            )
        notes = ["has no labels, since a server's documents stay as they are"] if self._labels else []
        if unknown := len(ids - self._known):
            notes.append(f"found {unknown:,} documents that the catalogue lacks")
        if refused:
            notes.append(f"refused {len(refused):,} queries, which count as unanswered ({refused[0]})")
        if limit < DEPTH:
            notes.append(f"returns at most {limit} documents")
        self.note = f"{self.name}: {'; '.join(notes)}" if notes else ""
