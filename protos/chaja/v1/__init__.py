"""Version 1 of the protocol: every message, enum, stub and servicer of `chaja/v1/*.proto`."""

from chaja.v1.admin_pb2 import ReloadRequest, ReloadResponse
from chaja.v1.admin_pb2_grpc import AdminServiceServicer, AdminServiceStub, add_AdminServiceServicer_to_server
from chaja.v1.encode_pb2 import EncodeRequest, EncodeResponse, TextKind
from chaja.v1.encode_pb2_grpc import EncodeServiceServicer, EncodeServiceStub, add_EncodeServiceServicer_to_server
from chaja.v1.info_pb2 import (
    Catalogue,
    GetServerInfoRequest,
    GetServerInfoResponse,
    IndexKind,
    Limits,
    Model,
    Similarity,
)
from chaja.v1.info_pb2_grpc import InfoServiceServicer, InfoServiceStub, add_InfoServiceServicer_to_server
from chaja.v1.search_pb2 import (
    BatchSearchRequest,
    BatchSearchResponse,
    Field,
    Hit,
    Match,
    SearchError,
    SearchRequest,
    SearchResponse,
    SearchStreamResponse,
)
from chaja.v1.search_pb2_grpc import SearchServiceServicer, SearchServiceStub, add_SearchServiceServicer_to_server
from chaja.v1.timings_pb2 import Timings

__all__ = [
    "AdminServiceServicer",
    "AdminServiceStub",
    "BatchSearchRequest",
    "BatchSearchResponse",
    "Catalogue",
    "EncodeRequest",
    "EncodeResponse",
    "EncodeServiceServicer",
    "EncodeServiceStub",
    "Field",
    "GetServerInfoRequest",
    "GetServerInfoResponse",
    "Hit",
    "IndexKind",
    "InfoServiceServicer",
    "InfoServiceStub",
    "Limits",
    "Match",
    "Model",
    "ReloadRequest",
    "ReloadResponse",
    "SearchError",
    "SearchRequest",
    "SearchResponse",
    "SearchServiceServicer",
    "SearchServiceStub",
    "SearchStreamResponse",
    "Similarity",
    "TextKind",
    "Timings",
    "add_AdminServiceServicer_to_server",
    "add_EncodeServiceServicer_to_server",
    "add_InfoServiceServicer_to_server",
    "add_SearchServiceServicer_to_server",
]
