"""The core's log, in a separate process, whose file descriptor 2 it takes over."""

import subprocess
import sys

from sample.server_process import REPOSITORY

PROGRAM = """
import logging, os, sys, time
from server.core_log import CoreLog
from server.logs.setup import start_log
start_log()
core_log = CoreLog()
reasons = []
core_log.on_failed_handshake = reasons.append
def core(level, text):
    os.write(2, f"{level}1130 00:47:32.881599   15055 ssl_transport_security.cc:2563] {text}\\n".encode())
def failed(name):
    core("I", f"Handshake failed with error SSL_ERROR_SSL: error:100000f7:SSL routines:OPENSSL_internal:{name}: more")
"""


def run(code: str) -> tuple[str, str]:
    """Runs a program; returns its output and what it wrote to its standard error."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip(), done.stderr


def test_failed_handshakes_are_reported_by_reason_and_the_core_s_lines_are_dropped() -> None:
    names = [
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "PEER_DID_NOT_RETURN_A_CERTIFICATE",
        "CERTIFICATE_VERIFY_FAILED",
        "OTHER",
    ]
    code = f"""
for name in {names}:
    failed(name)
core("E", "Handshake failed")
core("W", "another line")
while len(reasons) < 6:
    time.sleep(0.01)
print(*reasons)
"""
    expected = "no_tls no_tls no_client_certificate client_certificate_invalid handshake_failed handshake_failed"
    assert run(code) == (expected, "")


def test_all_other_output_still_arrives() -> None:
    code = """
logging.info("a record")
print("a line", file=sys.stderr)
os.write(2, b"of native code\\n")
core("F", "a fatal line")
time.sleep(0.5)
"""
    lines = run(code)[1].splitlines()
    assert sorted(line.rpartition("] ")[2].rpartition(": ")[2] for line in lines) == [
        "a fatal line",
        "a line",
        "a record",
        "of native code",
    ]


def test_a_record_arrives_even_if_the_process_ends_at_once() -> None:
    out, lines = run("logging.info('the last'); logging.shutdown(); os._exit(0)")
    assert (out, lines.endswith(" INFO root: the last\n")) == ("", True)


def test_the_core_never_waits() -> None:
    code = """
core_log.on_failed_handshake = lambda reason: time.sleep(60)
for _ in range(10_000):
    try:
        failed("OTHER")
    except BlockingIOError:  # The core ignores it.
        print("lost")
        break
"""
    assert run(code) == ("lost", "")
