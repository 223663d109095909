"""Keys of the JSON report and their meaning, in the order of the report, as Markdown: `make docs` writes them."""

KEYS: tuple[tuple[str, str], ...] = (
    ("`schema_version`", "1; raised if readers would break"),
    ("`verdict`, `saturated`, `partial`", "the first line; whether the generator was saturated; why runs are partial"),
    ("`assertions`", "each `assertion` with its `value` and whether it was `met`"),
    ("`seconds`", "from the start until 99.9 % had been answered, or the planned duration if that is longer"),
    (
        "`requests`",
        "`planned`, `sent`, `ok`, `goodput`, `refused`, `unanswered` when the run ended, `dropped`, `late`, `warm_up`, "
        "and `error_share`, the share of planned requests that did not succeed",
    ),
    (
        "`rates`",
        "`offered`, `sent`, `achieved`, `goodput`, `goodput_within_seconds`, `request_bytes`, `response_bytes`",
    ),
    (
        "`all`, `calls`",
        "all requests, and those of each call of the mix: `name`, `sent`, `goodput`, `failed_answers` (OK answers that "
        "carry an error), their `parts` and `failed_parts`, `request_bytes`, `response_bytes`, `outcomes`, "
        "`streams`, `stages_seconds`, `server_seconds` (all stages), `network_and_client_seconds`, `cached_share`, the "
        "share of the answers with stages whose query the server did not encode (its vector was cached, or the mode is "
        "lexical), `batch_texts`, the mean size of a batch, and `checks`",
    ),
    (
        "`outcomes`",
        "by gRPC code, or `UNANSWERED`: `count`, `latency_seconds` from the planned time, `service_seconds` from the "
        "send, `hdr_histogram` (latencies in HdrHistogram's V2 format, base64)",
    ),
    (
        "`checks`",
        "checked `answers`, those that `failed` a check, and `each` check: `check`, `answers`, `failed`",
    ),
    (
        "`streams`",
        "of successful calls whose answer is a stream: `calls` with a message, those that were `silent`, "
        "`messages_sent`, `messages_received`, and the "
        "distributions `first_message_seconds` (from the send), `gap_seconds` and `longest_gap_seconds` (mean and "
        "longest time between two messages of a call)",
    ),
    ("a distribution", "`count`, `mean`, `min`, `p50`, `p90`, `p95`, `p99`, `p99.9`, `max`"),
    ("`stages_seconds`", "a distribution for each of `tokenize`, `queue`, `encode`, `search`, `fetch`"),
    ("`messages`", "error messages: `code`, `message`, `count`"),
    (
        "`quality`",
        "`at` (the k), `labelled` answers, `recall`, `ndcg`, `compared` answers, those `different` from the reference "
        "answer",
    ),
    (
        "`generator`",
        "`reasons` for its saturation, `processes`, `late_share`, `busiest_share` of a core, `cpu_seconds`, "
        "`longest_lag_seconds`, `memory_bytes`",
    ),
    (
        "`machines`",
        "each generator machine of `--workers`: `address`, `host`, `sent`, `late`, `processes`, `busiest_share`, "
        "`waited_share`, `longest_lag_seconds`, `memory_bytes`, `clock_bound_seconds` (the largest error of its start "
        "time), `clock_drift_seconds` in the run, and `clocks_agree`, whether both are below `--late-after`",
    ),
    (
        "`timeline`",
        "for each `second`: `planned`, `dropped`, `answered`, `p50_seconds`, `p99_seconds`, `service_p50_seconds`, "
        "`service_p99_seconds`, the mean of each stage (`tokenize_seconds`, `queue_seconds`, `encode_seconds`, "
        "`search_seconds`, `fetch_seconds`), and `codes`",
    ),
    ("`metrics`", "scraped metrics (`--metrics-url`): `seconds` and `samples`, or an `error`"),
    ("`runs`", "`file`, `partial`, `started` (Unix time), `plan`, `environment`, `workers`"),
)
