"""deploy/Dockerfile. No engine is needed: the test runs its steps in an almost empty root."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import chaja
from chaja.v1 import SearchRequest
from deploy.wheel.sources import SERVER_WHEEL
from sample.server_process import REPOSITORY, running_server
from tests.conftest import SAMPLE_CATALOGUE
from tests.deploy.image.building import Image, build
from tests.deploy.image.context import Context
from tests.deploy.image.dockerfile import Stage, read_dockerfile
from tests.integration.certificates import Authority
from tests.ports import free_ports

STAGES = read_dockerfile(REPOSITORY / "deploy/Dockerfile")
PROGRAMS = ("server", "export")
CONTEXT = Context(REPOSITORY)

pytestmark = pytest.mark.timeout(600)  # The first test that needs the image builds it, with downloads.


def skip_without(available: object, reason: str) -> None:
    """Skips a test if something is missing on this machine, but fails in CI."""
    if not available:
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image of the server."""
    skip_without(os.geteuid() == 0, "chroot needs root")
    folder = tmp_path_factory.mktemp("images")
    yield build(STAGES, "server", CONTEXT, folder, {})
    shutil.rmtree(folder)  # 300 MB, of which pytest would keep the last three.


def test_the_last_stage_is_the_server() -> None:
    assert list(STAGES)[-1] == "server"


def test_every_stage_starts_from_the_same_image_pinned_by_a_tag() -> None:
    (base,) = {stage.image for stage in STAGES.values()}
    name, _, tag = base.partition(":")
    assert name == "python"
    assert tag.startswith("3.11-slim")


@pytest.mark.parametrize("stage", STAGES.values(), ids=str)
def test_everything_that_is_copied_exists(stage: Stage) -> None:
    for instruction in stage.of("COPY"):
        *sources, _ = instruction.words
        if origin := instruction.flags.get("from"):
            assert list(STAGES).index(origin) < list(STAGES).index(stage.name)
            continue
        for source in sources:
            assert CONTEXT.includes(Path(source)), f".dockerignore leaves {source} out"
            assert (REPOSITORY / source).exists()


@pytest.mark.parametrize(
    "path",
    [
        *(".git/HEAD", ".venv/bin/python", "build/bundle/manifest.json", "data/x", "dist/x.whl", "tests/conftest.py"),
        *("server/__pycache__/app.cpython-311.pyc", "server/encoding/native/compiled/libencoder.so"),
    ],
)
def test_the_context_lacks_what_the_build_does_not_need(path: str) -> None:
    assert not CONTEXT.includes(Path(path))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs_as_a_user_without_rights(name: str) -> None:
    (user,) = STAGES[name].of("USER")
    numbers = [int(number) for number in user.text.split(":")]  # Names would hide from Kubernetes that it is not root.
    assert all(number >= 10000 for number in numbers)


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_image_states_its_title_description_and_licence(name: str) -> None:
    labels = {word.partition("=")[0] for label in STAGES[name].of("LABEL") for word in label.words}
    assert labels == {f"org.opencontainers.image.{label}" for label in ("title", "description", "licenses")}


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    skip_without(hadolint.exists(), "hadolint is missing: make install")
    linted = subprocess.run([hadolint, REPOSITORY / "deploy/Dockerfile"], capture_output=True, text=True, check=False)
    assert linted.stdout == ""
    assert linted.returncode == 0


def program(stage: Stage, *names: str) -> list[str]:
    return [word for name in names for instruction in stage.of(name) for word in instruction.words]


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True])
def test_the_image_serves_as_its_user_with_a_read_only_root(
    image: Image, tiny_bundle: Path, tmp_path: Path, tls: bool
) -> None:
    for source, target in ((tiny_bundle, "bundle"), (SAMPLE_CATALOGUE.parent, "catalogue")):
        shutil.copytree(source, image.path(f"/{target}"), dirs_exist_ok=True)
    (port,) = free_ports(1)
    environment = {"CHAJA_LISTEN": "127.0.0.1:0", "CHAJA_METRICS": f"127.0.0.1:{port}"}
    if tls:
        pair = Authority(tmp_path, "test").signed("server")
        for name, path in (("CERTIFICATE", pair.certificate), ("KEY", pair.key)):
            environment[f"CHAJA_HTTP_TLS_{name}"] = f"/{path.name}"
            image.path(f"/{path.name}").write_bytes(path.read_bytes())
    stage = STAGES["server"]
    (health,) = stage.of("HEALTHCHECK")
    check = [word.replace(":9464/", f":{port}/") for word in json.loads(health.text.removeprefix("CMD "))]
    healthy = image.command(*check, environment=environment, writable="data")
    command = image.command(*program(stage, "ENTRYPOINT", "CMD"), environment=environment, writable="data")
    flags = ["--catalogue", "/catalogue/catalogue.jsonl", "--longest-wait-seconds", "60"]
    with running_server(flags, program=command) as server:
        status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
        with chaja.connect(server.address) as client:
            assert client.search.Search(SearchRequest(query="카드")).hits
        assert subprocess.run(healthy, check=False).returncode == 0
    assert "Uid:\t10001\t10001\t10001\t10001" in status
    assert subprocess.run(healthy, capture_output=True, check=False).returncode != 0
    assert image.path("/data/catalogue.sqlite").stat().st_uid == 10001


@pytest.mark.slow
def test_the_image_of_the_server_has_no_torch_and_no_pip(image: Image) -> None:
    (packages,) = image.path("/opt/chaja").glob("lib/python*/site-packages")
    installed = {path.name for path in packages.iterdir()}
    assert {"chaja_server", "opentelemetry"} <= installed
    assert not installed & {"torch", "transformers", "pip", "server", "export", "chaja"}
    assert sum(path.lstat().st_size for path in packages.rglob("*")) < 350e6


@pytest.mark.slow
def test_the_wheel_of_the_image_is_the_same_as_that_of_the_checkout(image: Image) -> None:
    """The same sources give the same bytes, in another folder and with other modification times."""
    (built,) = image.root.parent.glob("build/wheel/*.whl")
    wheel = REPOSITORY / "dist" / built.name
    paths = [path for folder in SERVER_WHEEL.folders for path in (REPOSITORY / folder).rglob("*.*")]
    newest = max(path.stat().st_mtime for path in paths if CONTEXT.includes(path.relative_to(REPOSITORY)))
    skip_without(wheel.exists() and wheel.stat().st_mtime > newest, f"{wheel} is missing or old: make server-wheel")
    assert wheel.read_bytes() == built.read_bytes()
