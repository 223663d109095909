"""Describes the served model and catalogue as messages of the protocol."""

from chaja.v1 import Catalogue, IndexKind, Model, Similarity
from server.encoding.kind import Side
from server.engine import Engine

SIMILARITY_OF = {"cosine": Similarity.SIMILARITY_COSINE, "dot": Similarity.SIMILARITY_DOT_PRODUCT}


def describe_model(engine: Engine) -> Model:
    """Returns a description of the model."""
    manifest = engine.manifest
    return Model(
        name=manifest.name,
        revision=manifest.revision,
        dimension=manifest.dimension,
        similarity=SIMILARITY_OF[manifest.similarity],
        max_tokens=manifest.tower(Side.QUERY).max_tokens,
        quantization=manifest.quantization,
        max_document_tokens=manifest.tower(Side.DOCUMENT).max_tokens,
    )


def describe_catalogue(engine: Engine, *, writable: bool) -> Catalogue:
    """Returns a description of the catalogue. May block, if the state is remote."""
    state = engine.index.state
    counts = state.counts
    return Catalogue(
        document_count=counts.documents,
        vector_count=counts.vectors,
        index_kind=IndexKind.INDEX_KIND_GRAPH if counts.has_graph else IndexKind.INDEX_KIND_EXACT,
        sequence=state.sequence,
        model_revision=engine.manifest.revision,
        writable=writable,
    )
