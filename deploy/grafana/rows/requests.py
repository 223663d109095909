"""Requests: their rate, their errors and their duration."""

from deploy.grafana.frame import Row
from deploy.grafana.panels import Panel, graph
from deploy.grafana.queries import Query, quantile, quantiles, rate, series

SEARCH = 'grpc_method="Search"'
SEARCH_SERVICE = 'grpc_service="chaja.v1.SearchService"'
OTHER_SERVICES = 'grpc_service!="chaja.v1.SearchService"'
OBJECTIVE = Query(f"max({series('chaja_latency_objective_seconds')})", "objective", limit=True)


def summary() -> Row:
    """Returns the row of the overview."""
    return Row(
        "Requests: how many, which fail, how long do they take?", [_rates(), _errors_by_reason(width=8), _latency()]
    )


def details() -> list[Row]:
    """Returns the rows by method."""
    return [
        Row("Requests by method", [_rates_by_method(), _in_flight(), _answer_bytes()]),
        Row("Errors", [_errors_by_method(), _errors_by_reason(width=6), _stream_errors(), refusals()]),
        Row("Duration by method", [_duration(0.5), _duration(0.95), _duration(0.99)]),
    ]


def _rates() -> Panel:
    return graph(
        "Calls",
        [
            Query(rate("grpc_server_handled_total", SEARCH_SERVICE, by="grpc_method"), "{{grpc_method}}"),
            Query(rate("chaja_stream_queries_total"), "queries of streams"),
            Query(rate("grpc_server_handled_total", OTHER_SERVICES), "other services"),
        ],
        unit="reqps",
        text="Calls that ended, per second. A stream counts when it ends; its queries count at once. A sudden drop to "
        "0: ask the callers, and check the network between them and the servers.",
        alerts=["ChajaNoTraffic"],
    )


def _errors_by_reason(*, width: int) -> Panel:
    return graph(
        "Errors by reason",
        [Query(f"{rate('chaja_call_errors_total', by='reason')} > 0", "{{reason}}")],
        unit="reqps",
        text="Calls, and queries of streams, that ended with an error. docs/errors.md explains each reason. "
        "OVERLOADED: add servers or limit the callers. INTERNAL_FAULT: the log has the traceback. STORE_FULL: free "
        "disk space. INVALID_REQUEST and the like are faults of callers.",
        alerts=["ChajaErrorBudgetBurn", "ChajaSaturated"],
        stacked=True,
        no_value="No errors",
        width=width,
    )


def _latency() -> Panel:
    return graph(
        "Duration of Search",
        [*quantiles("grpc_server_handling_seconds", SEARCH), OBJECTIVE],
        unit="s",
        text="Time from a call's arrival in the server's code to its answer, and --latency-objective-seconds. If p99 "
        "is above it, look for the stage that takes the time. Diamonds are calls with a trace.",
        alerts=["ChajaLatencyBudgetBurn"],
    )


def _rates_by_method() -> Panel:
    return graph(
        "Calls by method",
        [Query(rate("grpc_server_handled_total", by="grpc_method"), "{{grpc_method}}")],
        unit="reqps",
        text="Calls that ended, per second. A method that suddenly has many calls has a new caller, or one in a loop.",
        alerts=["ChajaNoTraffic"],
    )


def _in_flight() -> Panel:
    started, handled = (
        f"sum by (grpc_method) ({series(f'grpc_server_{each}_total')})" for each in ("started", "handled")
    )
    return graph(
        "Calls in progress",
        [Query(f"{started} - {handled}", "{{grpc_method}}")],
        unit="none",
        text="Calls that have begun and not ended, open streams among them. If unary calls pile up, they wait for a "
        "worker: look at the predicted wait.",
        alerts=["ChajaSaturated"],
    )


def _answer_bytes() -> Panel:
    return graph(
        "Bytes of answers",
        [Query(rate("chaja_response_bytes_total", by="grpc_method"), "{{grpc_method}}")],
        unit="Bps",
        text="Bytes of answers before compression, per second. If they load the network, callers can ask for fewer "
        "hits and fields (read_mask), and --max-response-bytes bounds each answer.",
    )


def _errors_by_method() -> Panel:
    failed = rate("grpc_server_handled_total", 'grpc_code!="OK"', by="grpc_method, grpc_code")
    return graph(
        "Errors by method and code",
        [Query(f"{failed} > 0", "{{grpc_method}} {{grpc_code}}")],
        unit="reqps",
        text="Calls that ended with a code other than OK. InvalidArgument, NotFound, Canceled and the like are the "
        "caller's; Internal, Unknown, Unavailable and DataLoss are the server's.",
        alerts=["ChajaErrorBudgetBurn"],
        stacked=True,
        no_value="No errors",
        width=6,
    )


def _stream_errors() -> Panel:
    failed = rate("chaja_stream_queries_total", 'grpc_code!="OK"', by="grpc_code")
    return graph(
        "Errors in streams",
        [Query(f"{failed} > 0", "{{grpc_code}}")],
        unit="reqps",
        text="Queries of streams whose answer is an error; the stream continues. The errors by reason include them.",
        alerts=["ChajaErrorBudgetBurn"],
        stacked=True,
        no_value="No errors",
        width=6,
    )


def refusals() -> Panel:
    """Returns the panel of refused calls and connections."""
    return graph(
        "Refusals by reason",
        [
            Query(rate("chaja_call_errors_total", 'reason="OVERLOADED"'), "overloaded"),
            Query(f"{rate('chaja_refused_total', by='reason')} > 0", "{{reason}}"),
        ],
        unit="reqps",
        text="Calls refused because the server is overloaded, and calls and connections refused before a method could "
        "begin: docs/metrics.md explains each reason, and the log names the client. token_unknown: a token was "
        "removed or replaced. handshake_failed: the clients' TLS does not fit.",
        alerts=["ChajaSaturated", "ChajaCertificateExpires"],
        stacked=True,
        width=6,
    )


def _duration(of: float) -> Panel:
    return graph(
        f"Duration by method, p{of * 100:g}",
        [Query(quantile(of, "grpc_server_handling_seconds", 'grpc_type="unary"', by="grpc_method"), "{{grpc_method}}")],
        unit="s",
        text="Time from a unary call's arrival in the server's code to its answer. BatchSearch and Encode take longer "
        "the more texts they have; writes take as long as the encoding of new texts and one commit.",
        alerts=["ChajaLatencyBudgetBurn"],
    )
