"""The process: its resources, its reloads and restarts, its versions."""

from deploy.grafana.frame import Row
from deploy.grafana.panels import Panel, graph, list_of, value
from deploy.grafana.queries import Query, increase, rate, series

DAY_SECONDS = 86400
LABELS = "version, python_version, onnxruntime_version"


def values() -> list[Panel]:
    """Returns the values of the overview."""
    return [_last_reload(tall=False)]


def details() -> list[Row]:
    """Returns the rows of the details."""
    return [
        Row("Process", [_cpu(), _memory(), _descriptors(), _collections()]),
        Row(
            "Reloads, restarts and lost records",
            [_last_reload(tall=True), _reloads(), *_restarts(), _certificate(), _lost()],
        ),
        Row("Build and model", [servers()]),
    ]


def servers() -> Panel:
    """Returns the table of servers, with their versions and models."""
    uptime = f"(time() - {series('process_start_time_seconds')})"
    build = f"on (job, instance) group_left ({LABELS}) {series('chaja_build_info')}"
    model = f"on (job, instance) group_left (name, revision, quantization, encoder) {series('chaja_model_info')}"
    return list_of(
        "Servers",
        Query(f"{uptime} * {build} * {model} or on (job, instance) {uptime} * {build}", ""),
        columns={
            "instance": "instance",
            "Value": "uptime",
            "version": "version",
            "name": "model",
            "revision": "revision",
            "quantization": "quantization",
            "encoder": "encoder",
            "onnxruntime_version": "onnxruntime",
            "python_version": "Python",
        },
        unit="s",
        text="Servers that answer Prometheus; one without a model is loading it. Different revisions or versions: a "
        "deployment is under way, or has stopped half way.",
        alerts=["ChajaDown", "ChajaReloadFailed"],
    )


def _cpu() -> Panel:
    return graph(
        "CPU",
        [Query(rate("process_cpu_seconds_total", by="instance"), "{{instance}}")],
        unit="none",
        text="Cores that each server uses. If it stays at the container's limit, raise the limit or add servers.",
        alerts=["ChajaSaturated"],
        width=6,
    )


def _memory() -> Panel:
    return graph(
        "Memory",
        [Query(series("process_resident_memory_bytes"), "{{instance}}")],
        unit="bytes",
        text="Resident memory. A reload holds two models and two indexes for a while. docs/sizing.md has the need by "
        "documents; near the container's limit, raise the limit or use --index-storage f16 or i8.",
        alerts=["ChajaRestarts"],
        width=6,
    )


def _descriptors() -> Panel:
    return graph(
        "Open descriptors",
        [Query(f"{series('process_open_fds')} / {series('process_max_fds')}", "{{instance}}")],
        unit="percentunit",
        text="Share of the limit. Each connection takes one; at the limit new ones fail. Look for clients that open a "
        "connection for each call, and raise the limit (LimitNOFILE).",
        limits=[(0.8, "red")],
        width=6,
    )


def _collections() -> Panel:
    return graph(
        "Garbage collections",
        [Query(rate("python_gc_collections_total", by="generation"), "generation {{generation}}")],
        unit="cps",
        text="Collections of Python's garbage collector, per second. Many of generation 2 delay the event loop.",
        alerts=["ChajaEventLoopLag"],
        width=6,
    )


def _last_reload(*, tall: bool) -> Panel:
    return value(
        "Last reload",
        [Query(f"max({series('chaja_last_reload_failed')})", "")],
        unit="none",
        text="`failed`: a server could not load the new bundle or catalogue and serves the old one. Its log says what "
        "is wrong with the new one.",
        alerts=["ChajaReloadFailed"],
        steps=[(None, "green"), (1, "red")],
        names={"0": "ok", "1": "failed"},
        tall=tall,
    )


def _reloads() -> Panel:
    return value(
        "Reloads",
        [Query(increase("chaja_reloads_total", by="result"), "{{result}}")],
        unit="none",
        text="Reloads of the bundle or the catalogue file in the dashboard's time range. Failed ones: see the log.",
        alerts=["ChajaReloadFailed"],
        decimals=0,
        tall=True,
    )


def _restarts() -> list[Panel]:
    return [
        value(
            "Restarts",
            [Query(f"sum(changes({series('process_start_time_seconds')}[$__range]))", "")],
            unit="none",
            text="Restarts of servers in the dashboard's time range. If no deployment caused them, look for exits and "
            "for the kernel's out-of-memory killer in the logs.",
            alerts=["ChajaRestarts"],
            steps=[(None, "green"), (1, "orange")],
            tall=True,
        ),
        value(
            "gRPC restarts",
            [Query(increase("chaja_grpc_restarts_total"), "")],
            unit="none",
            text="Restarts of the gRPC server within the process, because a client sent something that crashed it "
            "(SECURITY.md). The log names it.",
            alerts=["ChajaRestarts"],
            steps=[(None, "green"), (0.5, "red")],
            decimals=0,
            tall=True,
        ),
    ]


def _certificate() -> Panel:
    return value(
        "Certificate expires in",
        [Query(f"min(({series('chaja_certificate_expiry_timestamp_seconds')} > 0) - time())", "")],
        unit="s",
        text="The first certificate of --tls-certificate and --http-tls-certificate that expires. Replace the files: "
        "the server reads them again without a restart.",
        alerts=["ChajaCertificateExpires"],
        steps=[(None, "red"), (DAY_SECONDS, "orange"), (7 * DAY_SECONDS, "green")],
        no_value="no TLS",
        tall=True,
    )


def _lost() -> Panel:
    return graph(
        "Lost log lines and spans",
        [
            Query(rate("chaja_log_lines_dropped_total"), "log lines"),
            Query(rate("chaja_spans_dropped_total"), "spans"),
        ],
        unit="cps",
        text="Log lines that could not be written or were above the rate, and spans that could not be exported, per "
        "second. Check the disk of the log and the collector at --trace-endpoint. Searches do not wait for either.",
        width=9,
    )
