"""One table from our errors to gRPC codes, and the interceptor that applies it.

A wrong request also carries `google.rpc.BadRequest` in its status details. Anything
that is not in our tree is a fault of the server: it is logged with its traceback,
and the caller sees INTERNAL with no more than a number to find it by.
"""

from __future__ import annotations

import logging
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from server.errors import ChajaError, EncodingFailed, InvalidRequest, NotReady, incident_message, new_incident
from server.rpc.interceptor import UnaryInterceptor, UnaryMethod

log = logging.getLogger(__name__)

CODE_OF: dict[type[ChajaError], grpc.StatusCode] = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    NotReady: grpc.StatusCode.UNAVAILABLE,
    EncodingFailed: grpc.StatusCode.INTERNAL,
}


class ErrorInterceptor(UnaryInterceptor):
    """Turns exceptions into statuses."""

    async def call(self, method: UnaryMethod, request: Any, context: Any, path: str) -> Any:
        """Calls the method and names what it raises."""
        try:
            return await method(request, context)
        except InvalidRequest as error:
            await context.abort(CODE_OF[InvalidRequest], str(error), trailing_metadata=_details(error))
        except ChajaError as error:
            await context.abort(CODE_OF[type(error)], str(error))
        except DecodeError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request is no message of this method's type")
        except grpc.aio.AbortError:
            raise
        except Exception:
            incident = new_incident()
            log.exception("incident %s in %s", incident, path)
            await context.abort(grpc.StatusCode.INTERNAL, incident_message(incident))


def _details(error: InvalidRequest) -> tuple[tuple[str, bytes]]:
    """Returns the trailing metadata that carries the violations (gRFC A6's `grpc-status-details-bin`)."""
    violations = [
        error_details_pb2.BadRequest.FieldViolation(field=violation.field, description=violation.description)
        for violation in error.violations
    ]
    status = status_pb2.Status(code=CODE_OF[InvalidRequest].value[0], message=str(error))
    status.details.add().Pack(error_details_pb2.BadRequest(field_violations=violations))
    return (("grpc-status-details-bin", status.SerializeToString()),)
