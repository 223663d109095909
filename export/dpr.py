"""DPR (Karpukhin et al. 2020): one encoder for questions, another for contexts, in transformers' layout.

Each is a BERT whose first token's vector is the text's, as it is: BERT's own pooler is
not used, and vectors keep their lengths, since they are compared by inner product.
Contexts were trained behind their titles, as `[CLS] title [SEP] text [SEP]`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from export.errors import ExportError, library_errors
from export.opening import opening_failure
from server.encoding.kind import Side
from server.errors import first_line

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class DprEncoder:
    """Where one of the two encoders stands, and which."""

    place: str
    made_for: Side

    def open(self) -> SentenceTransformer:
        """Returns it as a sentence-transformers model that computes the same."""
        import transformers
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer

        with library_errors(opening_failure(self.place)), tempfile.TemporaryDirectory() as plain:
            if self.made_for is Side.QUERY:
                encoder = transformers.DPRQuestionEncoder.from_pretrained(self.place).question_encoder
            else:
                encoder = transformers.DPRContextEncoder.from_pretrained(self.place).ctx_encoder
            _plain_bert(encoder).save_pretrained(plain)
            transformers.AutoTokenizer.from_pretrained(self.place).save_pretrained(plain)
            modules: list[Any] = [Transformer(plain)]
            modules.append(Pooling(encoder.bert_model.config.hidden_size, pooling_mode="cls"))
            if encoder.projection_dim > 0:
                dense = Dense(encoder.bert_model.config.hidden_size, encoder.projection_dim, activation_function=None)
                dense.linear.load_state_dict(encoder.encode_proj.state_dict())
                modules.append(dense)
            model: SentenceTransformer = SentenceTransformer(modules=modules, similarity_fn_name="dot", device="cpu")
        return model


def find_dpr(place: str) -> DprEncoder | None:
    """Returns the encoder that the configuration of a directory or a hub id speaks of; None if it is no DPR.

    Raises:
        ExportError: It is a DPR that cannot be searched with, or the hub cannot be reached.
    """
    import transformers
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        config = transformers.AutoConfig.from_pretrained(place)
    except Exception as error:
        if isinstance(error.__cause__, LocalEntryNotFoundError):  # To ask the hub in vain takes most of a minute.
            raise ExportError(f"{opening_failure(place)}: {first_line(error)}") from error
        return None  # Whoever opens it tells what is wrong with it.
    if config.model_type != "dpr":
        return None
    architectures = config.architectures or []
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
    """Returns what stands between a title and a text, so that the tokens are those that the tokenizer gives the pair.

    Raises:
        ExportError: There is no such text for this tokenizer.
    """
    separator = f" {tokenizer.sep_token} "
    alone, pair = tokenizer(f"a{separator}b")["input_ids"], tokenizer("a", "b")["input_ids"]
    if alone != pair:
        raise ExportError(f"the tokenizer of {origin} joins a title and a text by other tokens than its {separator!r}")
    return separator


def _plain_bert(encoder: Any) -> Any:
    """Returns the BERT inside a DPR encoder as a model of its own, which other libraries know."""
    import transformers

    known = transformers.BertConfig().to_dict().keys() - {"model_type"}
    given = encoder.bert_model.config.to_dict()
    config = transformers.BertConfig(**{name: value for name, value in given.items() if name in known})
    bert = transformers.BertModel(config, add_pooling_layer=False)
    bert.load_state_dict(encoder.bert_model.state_dict())
    return bert
