import argparse
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.analysis.objective import parse_objective
from loadtest.commands.attack import add_parser
from loadtest.commands.plan import check_objectives, make_plan
from loadtest.commands.schedule import make_schedule, measured_seconds
from loadtest.errors import LoadtestError
from loadtest.generator.wire import encode_plan
from loadtest.requests.descriptors import proto_descriptors

PROTO = Path(__file__).parents[1] / "requests" / "protos" / "known.proto"
FLAGS = [
    "--data", "--header", "--call", "--check", "--profile", "--assert", "--rate", "--duration", "--seed",
    "--zipf-exponent", "--queries-per-call", "--deadline", "--warm-up", "--token", "--authority", "--rate-to",
    "--steps", "--in-flight", "--count", "--connections", "--processes", "--max-in-flight", "--late-after",
    "--quality-at", "--error-field", "--order", "--schedule", "--compression",
]  # fmt: skip
FILES = ("", "--proto", "--queries", "--data-file", "--mix", "--protoset", "--timestamps", "--qrels")
ODD = (
    "nan", "inf", "-1", "0", "1e999", "9" * 30, "{{query}}", "{{",
    "{{uuid}}", "{}", "[]", "null", "@", "@/", "\ud800",
)  # fmt: skip
FITTING = ("@/dev/null", "5s", "10-20:5s", "1:1s,", "true", "x.y", "a:b", "a-bin:{{uuid}}", "p99<5ms", "TakeAll.p9<5ms")
VALUES = st.text(max_size=12) | st.sampled_from([*ODD, *FITTING])
NAMES = st.sampled_from(["call", "weight", "data", "queries_per_call", "check", "name", "query", "timestamp", "id"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner | st.just("TakeAll"), max_size=4),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def protoset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled methods: `--proto` would start protoc for each example."""
    path = tmp_path_factory.mktemp("flags") / "known.protoset"
    path.write_bytes(proto_descriptors(PROTO).SerializeToString())
    return path


@settings(max_examples=150, deadline=None)
@given(
    flags=st.dictionaries(st.sampled_from(FLAGS), VALUES, max_size=4),
    file=st.sampled_from(FILES),
    content=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()),
    suffix=st.sampled_from(["", ".csv"]),
)
def test_any_flags_make_a_plan_or_an_error_of_one_line(
    protoset: Path, flags: dict[str, str], file: str, content: bytes, suffix: str
) -> None:
    path = protoset.with_name(f"flags{suffix}")
    path.write_bytes(content)
    arguments = ["attack", "localhost:1", "--call", "TakeAll"]
    arguments += [] if file in ("--proto", "--protoset") else ["--protoset", str(protoset)]
    arguments += [file, str(path)] if file else []
    arguments += [] if {"--rate", "--in-flight", "--profile"} & flags.keys() else ["--rate", "5", "--count", "1"]
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_parser(parser.add_subparsers())
    said = ""
    try:
        options = parser.parse_args([*arguments, *(f"{flag}={value}" for flag, value in flags.items())])
        objectives = [parse_objective(text) for text in options.assertions]
        schedule = make_schedule(options)
        seconds = measured_seconds(options, schedule)
        in_flight = options.in_flight or 0
        plan = make_plan(options, schedule=schedule, in_flight=in_flight, seconds=seconds, count=options.count)
        check_objectives(objectives, plan)
        encode_plan(plan)
    except SystemExit:  # argparse has refused it.
        return
    except LoadtestError as error:
        said = str(error)
    assert "\n" not in said
