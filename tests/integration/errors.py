"""Errors of calls, as clients see them."""

from collections.abc import Callable
from typing import Any, TypeVar

import grpc
import pytest
from google.protobuf.message import Message
from grpc_status import rpc_status

Detail = TypeVar("Detail", bound=Message)


def error_of(method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Returns the error of a call, which must fail."""
    with pytest.raises(grpc.RpcError) as raised:
        method(*arguments, **options)
    return raised.value


def code_of(method: Callable[..., Any], *arguments: Any, **options: Any) -> grpc.StatusCode:
    """Returns the status code of a call."""
    try:
        method(*arguments, **options)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def detail_of(error: Any, detail: Detail) -> Detail:
    """Fills `detail` from the status details of an error; there must be one of its type."""
    status = rpc_status.from_call(error)
    assert status is not None
    assert any(each.Unpack(detail) for each in status.details)
    return detail
