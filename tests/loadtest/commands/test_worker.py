"""The command `worker`, and the flags of `attack` and `slo` that name workers."""

import shutil
import socket
from pathlib import Path

import pytest

from loadtest.commands.machines import warn_about_local_target
from loadtest.commands.options import command_line
from loadtest.errors import ExitCode
from loadtest.target import Target
from tests.integration.certificates import Authority
from tests.loadtest.integration.attacks import SUCCESSFUL, run_command
from tests.loadtest.integration.worker_processes import worker
from tests.loadtest.pretend_server import pretend_server

ATTACK = ("attack", "server.example:1", "--call", "GetServerInfo", "--in-flight", "4", "--count", "4")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--listen", "0.0.0.0:0"], "is open to other machines: set the environment variable CHAJA_WORKER_TOKEN"),
        (["--listen", "[::]:0"], "is open to other machines"),
        (["--listen", "worker.example:0"], "is open to other machines"),
        (["--listen", "50060"], "--listen expects HOST:PORT"),
        (["--listen", "127.0.0.1:70000"], "--listen expects HOST:PORT"),
        (["--listen", "127.0.0.1:x", "--token", "t"], "--listen expects HOST:PORT"),
        (["--listen", "192.0.2.1:0", "--token", "t"], "cannot listen on 192.0.2.1:0"),
        (["--listen", "127.0.0.1:0", "--token", "두"], "printable ASCII"),
        (["--listen", "127.0.0.1:0", "--cert", "c.pem"], "--cert needs --key"),
        (["--listen", "127.0.0.1:0", "--client-ca", "c.pem"], "--client-ca needs both"),
        (["--listen", "127.0.0.1:0", "--cert", "c.pem", "--key", "k.pem"], "c.pem cannot be read: No such file"),
        (["--listen", "127.0.0.1:0", "--cert", "README.md", "--key", "README.md"], "is not PEM"),
    ],
)
def test_a_worker_with_wrong_flags_does_not_start(flags: list[str], says: str) -> None:
    run = run_command("worker", *flags, CHAJA_WORKER_TOKEN="")
    assert (run.returncode, run.stdout) == (ExitCode.USAGE, "")
    assert says in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_a_port_in_use_is_not_shared() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = run_command("worker", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert run.returncode == ExitCode.USAGE
    assert "it is in use" in run.stderr
    with worker() as other:
        assert run_command("worker", "--listen", other.address).returncode == ExitCode.USAGE


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--workers", ""], "'' is not an address"),
        (["--workers", "a:1,"], "'' is not an address"),
        (["--workers", "a"], "--workers: 'a' is not an address; write HOST:PORT"),
        (["--workers", "a:1, a:1"], "--workers names a:1 twice"),
        (["--workers", "a:1", "--worker-cert", "c.pem"], "--workers: a client certificate"),
        (["--workers", "a:1", "--worker-ca", "missing.pem"], "missing.pem cannot be read"),
        (["--workers", "a:1", "--worker-token", "두"], "printable ASCII"),
        (["--worker-ca", "c.pem"], "need --workers"),
        (["--workers", "a:1,b:1,c:1,d:1,e:1"], "at least one call in flight in each process"),
        (["--workers", "a:1,b:1", "--processes", "200"], "from 1 to 256, not 400"),
    ],
)
def test_wrong_flags_of_workers_are_refused(tmp_path: Path, flags: list[str], says: str) -> None:
    run = run_command(*ATTACK, "--out", str(tmp_path / "results.bin"), *flags)
    assert (run.returncode, run.stdout) == (ExitCode.USAGE, "")
    assert says in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert not (tmp_path / "results.bin").exists()


@pytest.mark.parametrize(
    ("target", "workers", "warns"),
    [
        ("localhost:5", ["a:1"], True),
        ("a:5,ipv6:[::1]:5", ["127.0.0.1:1", "b:1"], True),
        ("unix:/run/s", ["ipv4:10.0.0.1:1"], True),
        ("a:5", ["a:1"], False),
        ("localhost:5", ["127.0.0.1:1", "[::1]:1"], False),
        ("localhost:5", [], False),
    ],
)
def test_a_server_on_the_machine_of_each_worker_is_warned_about(
    capsys: pytest.CaptureFixture[str], target: str, workers: list[str], warns: bool
) -> None:
    warn_about_local_target(Target(address=target), [Target(address=each) for each in workers])
    assert bool(capsys.readouterr().err) == warns


def test_the_shown_command_line_has_no_token_of_workers() -> None:
    assert "hidden" not in command_line(["--worker-token", "hidden", "--worker-token=hidden"])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_both_sides_prove_who_they_are(tmp_path: Path) -> None:
    ours, others = Authority(tmp_path, "ours"), Authority(tmp_path, "others")
    (cert, key), client, stranger = ours.signed("worker"), ours.signed("client"), others.signed("stranger")
    ca, out = str(ours.pair.certificate), str(tmp_path / "results.bin")

    def attack(address: str, *flags: str) -> tuple[int, str]:
        run = run_command("attack", server, *ATTACK[2:], "--warm-up", "0s", "--out", out, "--workers", address, *flags)
        return run.returncode, run.stderr

    flags = ["--cert", str(cert), "--key", str(key), "--client-ca", ca]
    with pretend_server() as server, worker(*flags) as there:
        mutual = ["--worker-cert", str(client.certificate), "--worker-key", str(client.key)]
        returned, said = attack(there.address, "--worker-ca", ca, *mutual)
        assert returned in SUCCESSFUL, said
        strange = ["--worker-cert", str(stranger.certificate), "--worker-key", str(stranger.key)]
        foreign = str(others.pair.certificate)
        for wrong in ([], ["--worker-ca", ca], ["--worker-ca", ca, *strange], ["--worker-ca", foreign, *mutual]):
            returned, said = attack(there.address, *wrong)
            assert returned == ExitCode.FAILED, wrong
            assert said.startswith(f"loadtest: error: worker {there.address} cannot be reached"), said
            assert len(said.splitlines()) == 1
