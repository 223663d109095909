"""The settings of the server: one table for flag, environment variable, default, help and README.

A field of `Settings` is a row of the table: `max_limit` is the flag `--max-limit` and the environment variable
`CHAJA_MAX_LIMIT`; a flag wins over the environment.
"""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from server.catalogue.document import Field
from server.cpus import usable_cpus
from server.errors import SettingsError
from server.setting_types import (
    Address,
    UnixSocket,
    fraction,
    one_of,
    parse_address,
    parse_listen,
    parse_switch,
    positive_seconds,
    seconds,
    weight,
    whole_number,
)
from server.vectors.storage import STORAGES, Storage


def _setting(parse: Callable[[str], Any], help: str, *, default: str | None = None) -> Any:
    """Declares a row. Its default is text, so that it reads the same in `--help`, README and environment.

    A default of ``""`` means that the setting is not used, None that it is required.
    """
    metadata = {"parse": parse, "help": help, "default": default}
    if default is None:
        return field(metadata=metadata)
    return field(default=parse(default) if default else None, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator can decide."""

    bundle: Path = _setting(Path, "Directory of the bundle to serve, as `python -m export` writes it.")
    catalogue: Path | None = _setting(
        Path,
        "JSONL file of documents. It is imported at the start and whenever it changes: what it says something new of "
        "is encoded. Required without --data.",
        default="",
    )
    data: Path | None = _setting(
        Path,
        "Directory of the store, which keeps every document that was acknowledged. Without one, documents come from "
        "the catalogue's file alone, and CatalogService takes no writes.",
        default="",
    )
    listen: Address | UnixSocket = _setting(
        parse_listen,
        "Address of the gRPC services: host:port, or unix:/path for a Unix socket. Port 0 lets the system choose.",
        default="127.0.0.1:50051",
    )
    metrics: Address = _setting(
        parse_address, "Address of the Prometheus metrics, at `/metrics`.", default="127.0.0.1:9464"
    )
    encode_workers: int = _setting(
        whole_number(0, 1024),
        "Workers, each of which encodes and searches one batch at a time on one core. 0 starts one for each CPU that "
        "the process may use, by its affinity and its control group's quota.",
        default="0",
    )
    longest_wait_seconds: float = _setting(
        positive_seconds,
        "Reject calls whose predicted queue wait exceeds this, with RESOURCE_EXHAUSTED. A nearer deadline bounds it "
        "further.",
        default="0.5",
    )
    cache_bytes: int = _setting(
        whole_number(0),
        "Memory for the vectors of earlier queries, some 2,500 bytes each with 384 dimensions. 0 turns the cache off.",
        default="67108864",
    )
    max_batch_tokens: int = _setting(
        whole_number(1),
        "Most tokens that a worker takes from the queue at once (at least one text). "
        "More shares the index's work among more queries; fewer lets the first of them go sooner.",
        default="512",
    )
    index_storage: Storage = _setting(
        one_of(STORAGES),
        "How the index keeps vectors: f32, f16 for half the memory, or i8, whose graph is smaller still and leads to "
        "candidates that are compared as f16. i8 is for bundles that compare by cosine.",
        default="f16",
    )
    hnsw_from_vectors: int = _setting(
        whole_number(1),
        "Number of vectors above which the index is a graph (HNSW), which finds nearly all of the best. Below, every "
        "vector is compared.",
        default="10000",
    )
    ef_search: int = _setting(
        whole_number(1, 4096),
        "Candidates that a search of the graph keeps, up to 100,000 vectors; with more it grows by itself, to 5.6 "
        "times as many at a million. More finds more and takes longer. It is raised while the recall is low.",
        default="128",
    )
    min_recall: float = _setting(
        fraction,
        "Recall at 10 below which ef_search is raised, as measured on a sample of the searches (chaja_index_recall).",
        default="0.98",
    )
    passage_overlap_tokens: int = _setting(
        whole_number(0, 4096),
        "Tokens that neighbouring passages of a long text share; a text that the model sees as a whole is one passage.",
        default="32",
    )
    title_weight: float | None = _setting(
        weight, "Factor of the similarities of titles. Without one, the bundle's own.", default=""
    )
    text_weight: float | None = _setting(
        weight, "Factor of the similarities of texts. Without one, the bundle's own.", default=""
    )
    example_weight: float | None = _setting(
        weight,
        "Factor of the similarities of example queries. Without one, the bundle's own, which keeps examples from "
        "outweighing titles.",
        default="",
    )
    native: bool = _setting(
        parse_switch,
        "Whether the native encoder may run the model, where it can: on or off. Off leaves it to ONNX Runtime.",
        default="on",
    )
    max_query_characters: int = _setting(
        whole_number(1),
        "Longest query in characters; a longer one is refused before it costs anything.",
        default="1000",
    )
    max_limit: int = _setting(whole_number(1), "Most hits that a query may ask for.", default="100")
    max_batch_queries: int = _setting(whole_number(1), "Most queries in one BatchSearch call.", default="100")
    max_encode_texts: int = _setting(whole_number(1), "Most texts in one Encode call.", default="256")
    max_text_characters: int = _setting(
        whole_number(1), "Longest text of an Encode call in characters.", default="20000"
    )
    max_write_documents: int = _setting(
        whole_number(1), "Most documents in one call that writes, or in one message of an import.", default="1000"
    )
    max_document_characters: int = _setting(
        whole_number(1),
        "Most characters in a document: its id, titles, texts, examples, and the names and strings of its attributes.",
        default="1000000",
    )
    max_page_size: int = _setting(whole_number(1), "Most documents on a page of ListDocuments.", default="1000")
    max_message_bytes: int = _setting(
        whole_number(1024), "Size of the largest request message; gRPC refuses a larger one.", default="4194304"
    )
    compress_answers: bool = _setting(
        parse_switch,
        "Whether to compress answers (gzip) to clients that accept it: on or off. Requests may always be compressed.",
        default="off",
    )
    drain_wait_seconds: float = _setting(
        seconds,
        "Time after SIGTERM or Ctrl-C in which the server reports NOT_SERVING and still accepts calls, so that "
        "balancers can notice; at least 0.3 s.",
        default="0",
    )
    drain_seconds: float = _setting(
        seconds,
        "Longest wait for calls in flight after that; what is left is then aborted. A second signal ends at once.",
        default="10",
    )
    watch_seconds: float = _setting(
        seconds,
        "Time between two looks whether bundle or catalogue have changed on the disk; they are then loaded anew while "
        "the old ones serve, as upon SIGHUP or AdminService.Reload. 0 looks never.",
        default="5",
    )
    max_connection_age_seconds: float = _setting(
        seconds,
        "Age at which a connection is ended gracefully, give or take a tenth, so that clients behind a balancer spread "
        "over new servers. 0 means never.",
        default="0",
    )
    max_connection_age_grace_seconds: float = _setting(
        seconds, "Time for the calls in flight on such a connection; what is left is then aborted.", default="30"
    )
    tls_certificate: Path | None = _setting(
        Path,
        "Certificate of the server and those that lead to its root, in PEM; read again when it changes.",
        default="",
    )
    tls_key: Path | None = _setting(Path, "Private key of the certificate, in PEM, without a passphrase.", default="")
    tls_client_ca: Path | None = _setting(
        Path, "Certificates of which one must have signed a client's own, in PEM (mutual TLS).", default=""
    )
    tokens: Path | None = _setting(
        Path,
        "File of the tokens that callers must carry, one a line: role (search, write or admin), name, token; read "
        "again when it changes. Health checks and reflection need none.",
        default="",
    )
    log_texts: bool = _setting(
        parse_switch,
        "Whether the log may hold what users typed, where a text made the model fail: on or off.",
        default="off",
    )
    reflection: bool = _setting(
        parse_switch, "Whether tools such as grpcurl can ask for the services' descriptions: on or off.", default="on"
    )

    @property
    def weights(self) -> dict[Field, float]:
        """The weights of fields that the operator chose."""
        chosen = {Field.TITLE: self.title_weight, Field.TEXT: self.text_weight, Field.EXAMPLE: self.example_weight}
        return {each: factor for each, factor in chosen.items() if factor is not None}

    @property
    def workers(self) -> int:
        """Number of workers."""
        return self.encode_workers or usable_cpus()

    def check(self) -> None:
        """Raises SettingsError if settings contradict each other."""
        if self.catalogue is None and self.data is None:
            raise SettingsError(
                "there is nothing to serve: give --catalogue (a file), --data (a directory) or both; --help tells more"
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise SettingsError("--tls-certificate and --tls-key go together: give both or neither")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise SettingsError("--tls-client-ca needs --tls-certificate and --tls-key")


class SettingRow(NamedTuple):
    """A row of the table, as `--help` and README show it."""

    flag: str
    variable: str
    default: str | None
    help: str


def setting_rows() -> list[SettingRow]:
    """Returns the table in the order of its declaration; a default of None means required."""
    return [
        SettingRow(_flag(row.name), _variable(row.name), row.metadata["default"], row.metadata["help"])
        for row in fields(Settings)
    ]


def parse_settings(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Reads the settings from command-line `arguments` and `environment`.

    Raises:
        SettingsError: A required setting is missing or a value cannot be used.
        SystemExit: `--help` was asked for.
    """
    parser = Parser(
        prog="python -m server",
        description="Serve natural-language search over gRPC.",
        epilog="example: python -m server --bundle build/bundle --catalogue sample/catalogue.jsonl",
        allow_abbrev=False,
    )
    for setting in setting_rows():
        shown = "required" if setting.default is None else f"default: {setting.default or 'none'}"
        help = f"{setting.help} ({shown}; environment: {setting.variable})"
        parser.add_argument(setting.flag, metavar="VALUE", help=help)
    given = vars(parser.parse_args(arguments))
    values: dict[str, Any] = {}
    for row in fields(Settings):
        text, source = given[row.name], _flag(row.name)
        if text is None and _variable(row.name) in environment:
            text, source = environment[_variable(row.name)], _variable(row.name)
        if text is None or (not text and row.default in (MISSING, None)):
            if row.default is MISSING:
                raise SettingsError(f"{source} is required (or set {_variable(row.name)}); --help explains it")
            continue
        try:
            values[row.name] = row.metadata["parse"](text)
        except ValueError as error:
            raise SettingsError(f"{source}: {error}; it is {text!r}") from None
    settings = Settings(**values)
    settings.check()
    return settings


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _variable(name: str) -> str:
    return "CHAJA_" + name.upper()


class Parser(argparse.ArgumentParser):
    """Raises where argparse would print its usage over several lines and exit."""

    def error(self, message: str) -> NoReturn:
        """Raises SettingsError."""
        raise SettingsError(f"{message}; --help lists the settings")
