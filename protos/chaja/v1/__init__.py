"""Version 1 of the protocol: every message, enum, stub and servicer of `chaja/v1/*.proto`."""

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
    SearchRequest,
    SearchResponse,
)
from chaja.v1.search_pb2_grpc import SearchServiceServicer, SearchServiceStub, add_SearchServiceServicer_to_server
from chaja.v1.timings_pb2 import Timings

__all__ = [
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
    "SearchRequest",
    "SearchResponse",
    "SearchServiceServicer",
    "SearchServiceStub",
    "Similarity",
    "TextKind",
    "Timings",
    "add_EncodeServiceServicer_to_server",
    "add_InfoServiceServicer_to_server",
    "add_SearchServiceServicer_to_server",
]
