"""The settings of the server, in one table: flags, environment variables, defaults and help.

A field of `Settings` is a row of the table: `max_limit` is the flag `--max-limit` and the environment variable
`CHAJA_MAX_LIMIT`. A flag overrides the environment.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.catalogue.document import Field
from server.catalogue.location import Location, parse_location
from server.cpus import usable_cpus
from server.defaults import (
    ADMITTED_SHARE,
    EF_SEARCH,
    HNSW_FROM_VECTORS,
    MIN_RECALL,
    PASSAGE_OVERLAP_TOKENS,
    PASSAGE_TOKENS,
)
from server.encoding.cutting import MOST_TOKENS, OVERLAP_HELP, PASSAGE_TOKENS_HELP, Cutting
from server.logs.access import ACCESS_LOG_MODES, AccessLogMode
from server.logs.lines import LOG_FORMATS, LogFormat
from server.programs import EXPORTER
from server.setting_types import (
    Address,
    CollectorAddress,
    UnixSocket,
    fraction,
    one_of,
    parse_address,
    parse_collector,
    parse_listen,
    parse_switch,
    positive_seconds,
    seconds,
    weight,
    whole_number,
)
from server.vectors.storage import STORAGES, Storage

METAVARS: dict[Any, str] = {
    Path: "FILE",
    parse_address: "ADDRESS",
    parse_listen: "ADDRESS",
    parse_switch: "on|off",
    positive_seconds: "SECONDS",
    seconds: "SECONDS",
}
"""Placeholder of a value in `--help`, by parser; others take a number."""


def _setting(parse: Callable[[str], Any], help: str, *, default: str | None = None, metavar: str | None = None) -> Any:
    """Declares a row. The default is text, so that it reads the same in `--help`, documents and environment.

    A default of ``""`` makes the setting optional, None makes it required.
    """
    metadata = {"parse": parse, "help": help, "default": default, "metavar": metavar or METAVARS.get(parse, "N")}
    if default is None:
        return field(metadata=metadata)
    return field(default=parse(default) if default else None, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The values of all settings."""

    bundle: Path = _setting(Path, f"Directory of the bundle to serve, as written by `{EXPORTER}`.", metavar="DIR")
    catalogue: Path | None = _setting(
        Path,
        "JSONL file of documents, imported at startup and whenever it changes. Only new or changed documents are "
        "encoded. Required without --data.",
        default="",
    )
    synonyms: Path | None = _setting(
        Path,
        "File of synonyms, a rule on each line: `ATM = cash machine`, or `cc -> credit card` for one way. Imported at "
        "startup and whenever it changes. Rules that were changed through SynonymService stay.",
        default="",
    )
    rules: Path | None = _setting(
        Path,
        "JSONL file of rules of merchandising, as `export-catalogue --rules-to` writes it. Imported at startup and "
        "whenever it changes. Rules that were changed through MerchandisingService stay.",
        default="",
    )
    max_catalogue_shrink: float = _setting(
        fraction,
        "Share of the documents of --catalogue, or of the rules of --synonyms or --rules, that may be missing when "
        "the file is imported again, from 0 to 1. A file that lacks more is refused, because it may have been cut "
        "short. Up to 3 may always be missing.",
        default="0.2",
    )
    data: Location | None = _setting(
        parse_location,
        "Directory of the store, which keeps every acknowledged document, or its database in PostgreSQL as "
        "postgresql://user@host:port/database. Without it, documents come from --catalogue alone, and CatalogService "
        "rejects writes.",
        default="",
        metavar="DIR",
    )
    backup_directory: Path | None = _setting(
        Path,
        "Directory for backups of the store, best on another disk. It must exist, unless it is DIR/backups of --data "
        "DIR. Servers may share it.",
        default="",
        metavar="DIR",
    )
    backup_every_seconds: int = _setting(
        whole_number(0),
        "Interval between backups; 86400 is a day. A restart does not change when the next one is due. 0 makes none.",
        default="0",
        metavar="SECONDS",
    )
    backup_keep: int = _setting(
        whole_number(1),
        "Number of backups of this store in --backup-directory. Older ones are removed after a new one is verified.",
        default="7",
    )
    keep_vectors_seconds: float = _setting(
        seconds,
        "Time for which the store keeps the vectors of a replaced bundle after its last use by a server, so that a "
        "rollback encodes only what has changed.",
        default="86400",
    )
    feedback_days: int = _setting(
        whole_number(0, 3650),
        "Days for which the store keeps feedback, which has the queries of users. 0 keeps none and refuses it.",
        default="90",
    )
    learn_every_seconds: int = _setting(
        whole_number(0),
        "Interval at which the server learns from feedback, as the command learn does: it adds queries that users have "
        "confirmed to the examples of documents, unless search gets worse; 86400 is a day. First after an hour, or the "
        "interval if it is shorter. 0 disables it.",
        default="0",
        metavar="SECONDS",
    )
    listen: Address | UnixSocket = _setting(
        parse_listen,
        "Address of the gRPC services: host:port, or unix:/path for a Unix socket. Port 0 lets the system choose.",
        default="127.0.0.1:50051",
    )
    metrics: Address = _setting(
        parse_address,
        "Address of the HTTP port for Prometheus (`/metrics`), for probes (`/healthz`, `/readyz`), and for the pages.",
        default="127.0.0.1:9464",
    )
    encode_workers: int = _setting(
        whole_number(0, 1024),
        "Number of workers. Each encodes and searches one batch at a time on one core. 0 starts one for each CPU that "
        "the process may use, by its CPU affinity and cgroup quota.",
        default="0",
    )
    longest_wait_seconds: float = _setting(
        positive_seconds,
        f"Reject calls whose predicted queue wait exceeds {ADMITTED_SHARE * 100:.0f} % of this, or whose answer would "
        "come after their deadline (RESOURCE_EXHAUSTED). Interactive calls that have waited longer than this are "
        "rejected as well.",
        default="0.5",
    )
    cache_bytes: int = _setting(
        whole_number(0),
        "Size of the cache of query vectors. A query takes 4 bytes per dimension and 500 more. 0 disables the cache.",
        default="67108864",
    )
    max_batch_tokens: int = _setting(
        whole_number(1),
        "Maximum tokens in a batch (a batch holds at least one text). All queries of a batch are answered together: "
        "lower values answer the first query sooner, higher values wake the event loop less often.",
        default="512",
    )
    index_storage: Storage = _setting(
        one_of(STORAGES),
        "Number format of the index: f32; f16, which halves the memory; or i8, which shrinks the graph further and "
        "rescores its candidates in f16. i8 needs a bundle that compares by cosine.",
        default="f16",
        metavar="FORMAT",
    )
    hnsw_from_vectors: int = _setting(
        whole_number(1),
        "Number of vectors from which the index uses an HNSW graph, which finds nearly all of the nearest vectors. A "
        "smaller index compares every vector.",
        default=str(HNSW_FROM_VECTORS),
    )
    ef_search: int = _setting(
        whole_number(1, 4096),
        "Candidates that a search of the HNSW graph keeps. Higher values find more and take longer. The server "
        "raises it above 100,000 vectors (to 5.6 times at a million) and while recall is below --min-recall.",
        default=str(EF_SEARCH),
    )
    min_recall: float = _setting(
        fraction,
        "Recall@10, measured on a sample of searches (chaja_index_recall), below which the server raises ef_search.",
        default=str(MIN_RECALL),
    )
    passage_tokens: int = _setting(whole_number(0, MOST_TOKENS), PASSAGE_TOKENS_HELP, default=str(PASSAGE_TOKENS))
    passage_overlap_tokens: int = _setting(
        whole_number(0, MOST_TOKENS), OVERLAP_HELP, default=str(PASSAGE_OVERLAP_TOKENS)
    )
    title_weight: float | None = _setting(
        weight, "Factor for the similarities of titles. Unset uses the bundle's.", default=""
    )
    text_weight: float | None = _setting(
        weight, "Factor for the similarities of texts. Unset uses the bundle's.", default=""
    )
    example_weight: float | None = _setting(
        weight,
        "Factor for the similarities of example queries. Below 1, an example loses to an equally similar title. Unset "
        "uses the bundle's.",
        default="",
    )
    native: bool = _setting(
        parse_switch,
        "Use the native encoder where the CPU and the model allow it: on or off. off always uses ONNX Runtime.",
        default="on",
    )
    max_query_characters: int = _setting(
        whole_number(1),
        "Maximum characters in a query, or in a text to complete. A longer query is rejected before it is tokenized.",
        default="1000",
    )
    max_limit: int = _setting(whole_number(1), "Maximum hits of a query, or suggestions for a text.", default="100")
    max_paged_hits: int = _setting(
        whole_number(1), "Maximum hits of a query over all its pages. No page follows after them.", default="1000"
    )
    max_batch_queries: int = _setting(whole_number(1), "Maximum queries in one BatchSearch call.", default="100")
    max_encode_texts: int = _setting(whole_number(1), "Maximum texts in one Encode call.", default="256")
    max_text_characters: int = _setting(
        whole_number(1), "Maximum characters in a text of an Encode call.", default="20000"
    )
    max_write_documents: int = _setting(
        whole_number(1), "Maximum documents in one write call, or in one message of an import.", default="1000"
    )
    max_document_characters: int = _setting(
        whole_number(1),
        "Maximum characters in a document: id, titles, texts, examples, and the names and strings of its attributes.",
        default="1000000",
    )
    max_page_size: int = _setting(
        whole_number(1), "Maximum documents, rules or promotions on a page of a list.", default="1000"
    )
    max_message_bytes: int = _setting(
        whole_number(1024), "Maximum size of a request message. gRPC rejects a larger one.", default="4194304"
    )
    max_response_bytes: int = _setting(
        whole_number(16384),
        "Maximum size of a response message. The default is the most that gRPC clients accept without configuration. A "
        "page of a list ends before it; a larger answer is refused (RESPONSE_TOO_LARGE). Writes of documents that "
        "an answer could not hold are refused, too.",
        default="4194304",
    )
    compress_answers: bool = _setting(
        parse_switch,
        "Compress answers with gzip for clients that accept it: on or off. Requests may always be compressed.",
        default="off",
    )
    max_lag_seconds: float = _setting(
        seconds,
        "Report NOT_SERVING while searches have lacked changes of the store, or the store has been away, for longer "
        "than this. 0 never does.",
        default="60",
    )
    max_sequence_wait_seconds: float = _setting(
        seconds,
        "Maximum time that a search waits for its min_sequence. Then the call fails, and clients try another server.",
        default="1",
    )
    drain_wait_seconds: float = _setting(
        seconds,
        "Time after SIGTERM or Ctrl-C in which the server reports NOT_SERVING and still accepts calls, so that load "
        "balancers notice. The server waits at least 0.3 s.",
        default="0",
    )
    drain_seconds: float = _setting(
        seconds,
        "Maximum time for calls in flight after --drain-wait-seconds. The server then aborts the rest. A second signal "
        "stops it at once.",
        default="10",
    )
    watch_seconds: float = _setting(
        seconds,
        "Interval between checks of the bundle, --catalogue, --synonyms and --rules. The server reloads a changed file "
        "once the next check finds no further change, so the reload starts within two intervals. SIGHUP and "
        "AdminService.Reload start one at once. The old files serve meanwhile. 0 disables watching.",
        default="5",
    )
    max_connection_age_seconds: float = _setting(
        seconds,
        "Age at which the server closes a connection gracefully, plus or minus a tenth, so that a load balancer "
        "moves clients to new servers. 0 disables it.",
        default="0",
    )
    max_connection_age_grace_seconds: float = _setting(
        seconds, "Time for calls in flight on a closing connection. The server then aborts the rest.", default="30"
    )
    tls_certificate: Path | None = _setting(
        Path, "Certificate chain of the server, in PEM. Read again when it changes.", default=""
    )
    tls_key: Path | None = _setting(Path, "Private key of the certificate, in PEM, without a passphrase.", default="")
    tls_client_ca: Path | None = _setting(
        Path, "CA certificates, in PEM. Clients must present a certificate signed by one (mutual TLS).", default=""
    )
    tokens: Path | None = _setting(
        Path,
        "File of access tokens, one per line: role (search, write or admin), name, token. Read again when it changes. "
        "Health checks and reflection need no token.",
        default="",
    )
    http_tls_certificate: Path | None = _setting(
        Path, "Certificate chain of the HTTP port (--metrics), in PEM. Read again when it changes.", default=""
    )
    http_tls_key: Path | None = _setting(
        Path, "Private key of --http-tls-certificate, in PEM, without a passphrase.", default=""
    )
    http_token_file: Path | None = _setting(
        Path,
        "File with the token of the HTTP port, of at least 16 characters. Clients send it as a bearer token, or as "
        "the password of any user. Read again when it changes. Probes need no token.",
        default="",
    )
    search_page: bool = _setting(
        parse_switch,
        "Serve a page for searching at /search of the HTTP port (--metrics): on or off. It shows documents, so it "
        "needs an address that only this machine reaches, or --http-token-file.",
        default="off",
    )
    latency_objective_seconds: float = _setting(
        positive_seconds,
        "Latency that most calls should keep, as in dashboards and alerts. It is always a bucket boundary of "
        "grpc_server_handling_seconds, so that the share of slower calls is exact.",
        default="0.1",
    )
    log_format: LogFormat = _setting(
        one_of(LOG_FORMATS),
        "Format of the log: console (text) or json (one object per line).",
        default="console",
        metavar="FORMAT",
    )
    log_texts: bool = _setting(
        parse_switch,
        "Log a user's text if the model fails on it, and the text of slow queries, which the status page then shows, "
        "too: on or off.",
        default="off",
    )
    access_log: AccessLogMode = _setting(
        one_of(ACCESS_LOG_MODES),
        "Log ended calls: off, sampled (--access-log-share of them, and failed ones at a bounded rate) or all.",
        default="off",
        metavar="MODE",
    )
    access_log_share: float = _setting(
        fraction, "Share of the successful calls in a sampled access log, from 0 to 1.", default="0.01"
    )
    slow_query_seconds: float = _setting(
        seconds,
        "Log queries whose stages take at least this long, with the time of each stage. 0 logs none.",
        default="0",
    )
    audit_log: bool = _setting(
        parse_switch,
        "Log reloads, writes, deletes, imports and refused calls by the name of the token: on or off.",
        default="on",
    )
    trace_endpoint: CollectorAddress | None = _setting(
        parse_collector,
        "Address of the OpenTelemetry collector that gets the spans of calls (OTLP over gRPC): host:port, or "
        "https://host:port for TLS. Needs the extra otel. Unset disables tracing.",
        default="",
        metavar="ADDRESS",
    )
    trace_share: float = _setting(
        fraction,
        "Share of calls without a traceparent that are traced, from 0 to 1. Other calls are traced if their caller's "
        "span is sampled.",
        default="0.01",
    )
    reflection: bool = _setting(
        parse_switch, "Serve gRPC reflection, which tools such as grpcurl use: on or off.", default="on"
    )

    @property
    def weights(self) -> dict[Field, float]:
        """Factors of the fields that the operator has set."""
        chosen = {Field.TITLE: self.title_weight, Field.TEXT: self.text_weight, Field.EXAMPLE: self.example_weight}
        return {each: factor for each, factor in chosen.items() if factor is not None}

    @property
    def cutting(self) -> Cutting:
        """The sizes of the passages of texts."""
        return Cutting(self.passage_tokens, self.passage_overlap_tokens)

    @property
    def workers(self) -> int:
        """Number of workers."""
        return self.encode_workers or usable_cpus()
