"""DPR (Karpukhin et al. 2020): one encoder for questions, another for contexts, in transformers' layout.

Each encoder is a BERT. The first token's vector is the text's vector: BERT's pooler is not used, and vectors keep their
lengths, because they are compared by inner product. Contexts follow their titles, as `[CLS] title [SEP] text [SEP]`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from export.errors import ExportError
from server.encoding.kind import Side

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class DprEncoder:
    """The place of one of the two encoders, and the side that it encodes."""

    place: str
    made_for: Side

    def open(self) -> SentenceTransformer:
        """Returns an equivalent sentence-transformers model; raises whatever the libraries raise."""
        import transformers
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer

        with tempfile.TemporaryDirectory() as plain:
            if self.made_for is Side.QUERY:
                encoder = transformers.DPRQuestionEncoder.from_pretrained(self.place).question_encoder
            else:
                encoder = transformers.DPRContextEncoder.from_pretrained(self.place).ctx_encoder
            _plain_bert(encoder).save_pretrained(plain)
            tokenizer = transformers.AutoTokenizer.from_pretrained(self.place, trust_remote_code=False)
            tokenizer.save_pretrained(plain)
            modules: list[Any] = [Transformer(plain)]
            modules.append(Pooling(encoder.bert_model.config.hidden_size, pooling_mode="cls"))
            if encoder.projection_dim > 0:
                dense = Dense(encoder.bert_model.config.hidden_size, encoder.projection_dim, activation_function=None)
                dense.linear.load_state_dict(encoder.encode_proj.state_dict())
                modules.append(dense)
            model: SentenceTransformer = SentenceTransformer(modules=modules, similarity_fn_name="dot", device="cpu")
        return model


def find_dpr(place: str, config: dict[str, Any]) -> DprEncoder | None:
    """Returns the DPR encoder at a directory or a hub id, or None if its config.json is not of a DPR model.

    Raises:
        ExportError: The model is DPR's reader or has no known encoder.
    """
    if config["model_type"] != "dpr":
        return None
    architectures = config.get("architectures") or []
    if "DPRQuestionEncoder" in architectures:
        return DprEncoder(place, Side.QUERY)
    if "DPRContextEncoder" in architectures:
        return DprEncoder(place, Side.DOCUMENT)
    if "DPRReader" in architectures:
        raise ExportError(
            f"{place} is DPR's reader, which finds answers inside passages; a search needs DPR's question encoder "
            "(--model) and context encoder (--document-model)"
        )
    raise ExportError(f"{place} is a DPR model, but its config.json does not say which: architectures names no encoder")


def title_separator(tokenizer: Any, origin: str) -> str:
    """Returns the separator that gives `title + separator + text` the same tokens as the pair of title and text.

    Raises:
        ExportError: The tokenizer has no such separator.
    """
    separator = f" {tokenizer.sep_token} "
    alone, pair = tokenizer(f"a{separator}b")["input_ids"], tokenizer("a", "b")["input_ids"]
    if alone != pair:
        raise ExportError(f"the tokenizer of {origin} joins a title and a text with other tokens than {separator!r}")
    return separator


def _plain_bert(encoder: Any) -> Any:
    """Returns the BERT inside a DPR encoder as a plain BertModel."""
    import transformers

    known = transformers.BertConfig().to_dict().keys() - {"model_type"}
    given = encoder.bert_model.config.to_dict()
    config = transformers.BertConfig(**{name: value for name, value in given.items() if name in known})
    bert = transformers.BertModel(config, add_pooling_layer=False)
    bert.load_state_dict(encoder.bert_model.state_dict())
    return bert
