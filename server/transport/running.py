"""Calls the method of a handler, in any of gRPC's four shapes, and turns what it does into the end of the call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import grpc

from server.transport.context import Context, UndecodableRequest, decoded

if TYPE_CHECKING:
    from server.transport.call import Call

log = logging.getLogger(__name__)


async def run(call: Call) -> None:
    """Runs a call's method to its end; never raises, but for what ends the process."""
    context = Context(call)
    try:
        handler = call.handler
        if not (handler.request_streaming or handler.response_streaming):
            response = await handler.unary_unary(decoded(handler, call.single_message()), context)
            _respond(call, context, response)
        else:
            await _stream(call, context)
    except grpc.aio.AbortError:
        _end(call, context)
    except asyncio.CancelledError:
        call.end(grpc.StatusCode.CANCELLED, "the method was cancelled")
    except UndecodableRequest:
        call.end(grpc.StatusCode.INVALID_ARGUMENT, "the request is no message of this method's type")
    except Exception:
        log.exception("the method of %s failed", call.request.path)
        if context.code() in (None, grpc.StatusCode.OK):
            context.set_code(grpc.StatusCode.UNKNOWN)
            context.set_details("the method failed")
        _end(call, context)


async def _stream(call: Call, context: Context) -> None:
    handler = call.handler
    request: Any
    if handler.request_streaming:
        request = context.requests()
        method = handler.stream_stream if handler.response_streaming else handler.stream_unary
    else:
        request = decoded(handler, call.single_message())
        method = handler.unary_stream
    answer = method(request, context)
    if hasattr(answer, "__aiter__"):
        await _write_all(answer, context)
        _end(call, context)
        return
    response = await answer
    if handler.response_streaming:
        _end(call, context)
    else:
        _respond(call, context, response)


async def _write_all(answers: AsyncIterator[Any], context: Context) -> None:
    try:
        async for answer in answers:
            await context.write(answer)
    finally:
        close = getattr(answers, "aclose", None)  # Otherwise its `finally` would wait for the garbage collector.
        if close is not None:
            await close()


def _respond(call: Call, context: Context, response: Any) -> None:
    if context.code() in (None, grpc.StatusCode.OK):
        encode = call.handler.response_serializer
        call.respond(encode(response) if encode is not None else response, context.trailing_metadata())
    else:
        _end(call, context)


def _end(call: Call, context: Context) -> None:
    call.end(context.code() or grpc.StatusCode.OK, context.details(), context.trailing_metadata())
