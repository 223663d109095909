"""Clients: one channel and a typed stub for each service."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import grpc

from chaja.channel import channel_options
from chaja.deadline import AsyncDefaultDeadline, DefaultDeadline
from chaja.token import AsyncAnswerBearerToken, AsyncBearerToken, AsyncStreamBearerToken, BearerToken, check_token
from chaja.v1 import (
    AdminServiceStub,
    CatalogServiceStub,
    EncodeServiceStub,
    FeedbackServiceStub,
    InfoServiceStub,
    MerchandisingServiceStub,
    SearchServiceStub,
    SuggestServiceStub,
    SynonymServiceStub,
)

if TYPE_CHECKING:
    from typing_extensions import Self  # In `typing` from Python 3.11 on.

    from chaja.v1.admin_pb2_grpc import AdminServiceAsyncStub
    from chaja.v1.catalog_pb2_grpc import CatalogServiceAsyncStub
    from chaja.v1.encode_pb2_grpc import EncodeServiceAsyncStub
    from chaja.v1.feedback_pb2_grpc import FeedbackServiceAsyncStub
    from chaja.v1.info_pb2_grpc import InfoServiceAsyncStub
    from chaja.v1.merchandising_pb2_grpc import MerchandisingServiceAsyncStub
    from chaja.v1.search_pb2_grpc import SearchServiceAsyncStub
    from chaja.v1.suggest_pb2_grpc import SuggestServiceAsyncStub
    from chaja.v1.synonym_pb2_grpc import SynonymServiceAsyncStub

Options = Sequence[tuple[str, Any]]


class Client:
    """Blocking stubs over one channel, opened by `connect`. Safe to share between threads; close it when done.

    A method takes a request and, as `timeout=`, a deadline in seconds. It returns the response, or an iterator of
    responses. It raises `grpc.RpcError`, with the status in `code()` and the message in `details()`.

    Args:
        channel: Channel of all stubs.

    Attributes:
        channel: The channel, for other stubs such as those of `grpc.health.v1`.
        search: Stub of `SearchService`.
        suggest: Stub of `SuggestService`, which completes what a user types.
        catalog: Stub of `CatalogService`, which writes documents.
        synonyms: Stub of `SynonymService`, which changes the rules of synonyms.
        merchandising: Stub of `MerchandisingService`, which changes the rules of merchandising.
        feedback: Stub of `FeedbackService`, which takes what users did with hits.
        encode: Stub of `EncodeService`. It returns vectors as little-endian float32, texts × dimension.
        info: Stub of `InfoService`: the model, the limits, the size of the catalogue.
        admin: Stub of `AdminService`.

    Examples:
        >>> import chaja, grpc
        >>> from chaja.v1 import SearchRequest
        >>> with chaja.connect("localhost:50051") as client:
        ...     try:
        ...         client.search.Search(SearchRequest(query=" "), timeout=2.0)
        ...     except grpc.RpcError as error:
        ...         print(error.code().name)
        INVALID_ARGUMENT
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.search = SearchServiceStub(channel)
        self.suggest = SuggestServiceStub(channel)
        self.catalog = CatalogServiceStub(channel)
        self.synonyms = SynonymServiceStub(channel)
        self.merchandising = MerchandisingServiceStub(channel)
        self.feedback = FeedbackServiceStub(channel)
        self.encode = EncodeServiceStub(channel)
        self.info = InfoServiceStub(channel)
        self.admin = AdminServiceStub(channel)

    def close(self) -> None:
        """Closes the channel; calls in flight are cancelled."""
        self.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient:
    """asyncio stubs over one channel, opened by `connect_async`; close it when done.

    Use it on the event loop that opened it. It has the attributes of `Client`. A unary method is awaited; a streaming
    method returns an asynchronous iterator. Both raise `grpc.aio.AioRpcError`.

    Args:
        channel: Channel of all stubs.

    Examples:
        >>> import asyncio, chaja
        >>> from chaja.v1 import ListDocumentsRequest
        >>> async def ids():
        ...     async with chaja.connect_async("localhost:50051") as client:
        ...         page = await client.catalog.ListDocuments(ListDocumentsRequest(page_size=2))
        ...     return [document.id for document in page.documents]
        >>> len(asyncio.run(ids()))
        2
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.search: SearchServiceAsyncStub = SearchServiceStub(channel)
        self.suggest: SuggestServiceAsyncStub = SuggestServiceStub(channel)
        self.catalog: CatalogServiceAsyncStub = CatalogServiceStub(channel)
        self.synonyms: SynonymServiceAsyncStub = SynonymServiceStub(channel)
        self.merchandising: MerchandisingServiceAsyncStub = MerchandisingServiceStub(channel)
        self.feedback: FeedbackServiceAsyncStub = FeedbackServiceStub(channel)
        self.encode: EncodeServiceAsyncStub = EncodeServiceStub(channel)
        self.info: InfoServiceAsyncStub = InfoServiceStub(channel)
        self.admin: AdminServiceAsyncStub = AdminServiceStub(channel)

    async def close(self) -> None:
        """Closes the channel; calls in flight are cancelled."""
        await self.channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, type: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def connect(
    target: str,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    token: str | None = None,
    timeout_seconds: float = 10.0,
    options: Options = (),
) -> Client:
    """Opens a channel to one or more servers. It connects with the first call, and reconnects when necessary.

    The channel spreads calls over all addresses of the target, skips servers that are not ready, and repeats reads
    that fail with UNAVAILABLE. While no server is ready, reads wait until their deadline; `wait_for_ready=False` makes
    a call fail at once instead.

    Args:
        target: A gRPC target, such as `localhost:50051` or `dns:///search.example:50051`.
        credentials: TLS credentials, from `grpc.ssl_channel_credentials`. Without them the channel uses plain text.
        token: Access token, sent with every call. Only servers with a token file need it.
        timeout_seconds: Deadline of unary calls that set none, in seconds. Streams have no default deadline.
        options: More channel options; they override those of `chaja.channel.channel_options`.

    Returns:
        A client. Open one for each process, and close it when done.

    Raises:
        ValueError: The target or the token is invalid. If no server can be reached, not this function but the first
            call raises an error, `grpc.RpcError`.

    Examples:
        >>> import chaja
        >>> from chaja.v1 import Mode, SearchRequest
        >>> request = SearchRequest(query="report a lost card", language_code="en", mode=Mode.MODE_HYBRID)
        >>> with chaja.connect("localhost:50051", timeout_seconds=2.0) as client:
        ...     response = client.search.Search(request)
        >>> response.hits[0].title
        'Report a lost card'
    """
    _check_target(target)
    all_options = _merged(options)
    if credentials is None:
        channel = grpc.insecure_channel(target, options=all_options)
    else:
        channel = grpc.secure_channel(target, credentials, options=all_options)
    interceptors: list[Any] = [DefaultDeadline(timeout_seconds)]
    if token is not None:
        check_token(token)
        interceptors.append(BearerToken(token))
    return Client(grpc.intercept_channel(channel, *interceptors))


def connect_async(
    target: str,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    token: str | None = None,
    timeout_seconds: float = 10.0,
    options: Options = (),
) -> AsyncClient:
    """Opens a channel as `connect` does, for asyncio. Call it in a running event loop.

    The arguments and errors are those of `connect`.

    Returns:
        A client for this event loop.

    Examples:
        >>> import asyncio, chaja
        >>> from chaja.v1 import Mode, SearchRequest
        >>> async def search(*queries):
        ...     async with chaja.connect_async("localhost:50051") as client:
        ...         requests = [SearchRequest(query=query, mode=Mode.MODE_HYBRID) for query in queries]
        ...         return await asyncio.gather(*map(client.search.Search, requests))
        >>> card, _ = asyncio.run(search("카드 분실 신고", "travel insurance"))
        >>> card.hits[0].title
        '카드 분실 신고'
    """
    _check_target(target)
    all_options = _merged(options)
    interceptors: list[grpc.aio.ClientInterceptor] = [AsyncDefaultDeadline(timeout_seconds)]
    if token is not None:
        check_token(token)
        interceptors += [AsyncBearerToken(token), AsyncAnswerBearerToken(token), AsyncStreamBearerToken(token)]
    if credentials is None:
        channel = grpc.aio.insecure_channel(target, options=all_options, interceptors=interceptors)
    else:
        channel = grpc.aio.secure_channel(target, credentials, options=all_options, interceptors=interceptors)
    return AsyncClient(channel)


def _check_target(target: str) -> None:
    """Rejects targets that gRPC would accept here and then fail on with every call."""
    if not target.strip() or target.startswith(("http://", "https://")) or ":" not in target:
        raise ValueError(f"expected host:port or a gRPC target such as dns:///host:port; got {target!r}")


def _merged(options: Options) -> list[tuple[str, Any]]:
    """Returns the default options, overridden by these; of two with the same name, gRPC would use the first."""
    return list((dict(channel_options()) | dict(options)).items())
