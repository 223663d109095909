import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from ray.serve.schema import ServeDeploySchema

from deploy.ray.__main__ import main
from deploy.ray.app import SERVICERS, index, ingress
from deploy.ray.ingress import NAME, IngressDeployment
from deploy.ray.options import IndexOptions, IngressOptions, Options
from sample.server_process import REPOSITORY
from server.catalogue.location import text_of
from server.errors import BundleError
from server.rpc.server import METHODS
from tests.postgresql import Cluster

CONFIG = REPOSITORY / "deploy/ray/config.yaml"


def test_the_configuration_is_one_of_ray_serve_and_has_all_services(tiny_bundle: Path) -> None:
    config: Any = yaml.safe_load(CONFIG.read_text())
    ServeDeploySchema.model_validate(config)
    assert config["grpc_options"]["grpc_servicer_functions"] == SERVICERS
    calls, documents = config["applications"]
    assert (calls["name"], calls["args"]["index"]) == (NAME, documents["name"])
    assert (calls["route_prefix"], documents["route_prefix"]) == ("/", None)
    ingress(IngressOptions(**calls["args"]))
    with pytest.raises(BundleError):  # The bundle of the example does not exist.
        index(IndexOptions(**documents["args"]))
    index(IndexOptions(**documents["args"] | {"bundle": str(tiny_bundle)}))


def test_the_ingress_has_every_method_and_no_name_twice() -> None:
    names = [method.name for method in METHODS]
    assert len(set(names)) == len(names)
    assert all(callable(getattr(IngressDeployment, name)) for name in [*names, "Check", "Watch"])


def test_the_cpus_of_all_replicas_are_added_up() -> None:
    options = Options(bundle="b", data="d", shards=3, replicas=2, encoders=2, ingresses=1, shard_cpus=0.5)
    assert options.cpus == 3 + 2 + 1
    with pytest.raises(ValidationError):
        Options(bundle="b", data="d", shards=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bundle=b"], "data: field required"),
        (["bundle=b", "data"], "'data' has no value: arguments are name=value"),
        (["bundle=b", "data=d", "shards=0"], "shards: input should be greater than or equal to 1"),
        (["bundle=b", "data=d", "shrads=2"], "shrads: extra inputs are not permitted"),
        (["bundle=/nowhere", "data=postgresql://db/chaja"], "/nowhere"),
        (["bundle=b", "data=redis://db/chaja"], "--data: expected a directory, or postgresql://"),
        (["bundle=b", "data=directory"], "data"),
        (["bundle=b", "data=d", "shard_cpus=inf"], "shard_cpus: input should be a finite number"),
        (["bundle=b", "data=d", "shard_seconds=inf"], "shard_seconds: input should be a finite number"),
    ],
)
def test_wrong_options_are_one_line(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["deploy.ray", *arguments])
    assert main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("python -m deploy.ray: ")
    assert message in line


def test_a_database_or_port_that_cannot_be_used_is_one_line(
    tiny_bundle: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usable, empty = text_of(cluster.new_database()), text_of(cluster.new_database(migrated=False))
    with contextlib.closing(socket.create_server(("", 0))) as other:
        for data, port, message in (
            (empty, "0", "has no tables of Chaja yet: run python -m server migrate"),
            (usable, "65536", "--port is 65536; it is a number from 0 to 65535"),
            (usable, str(other.getsockname()[1]), "cannot be used: address already in use"),
        ):
            monkeypatch.setattr("sys.argv", ["deploy.ray", "--port", port, f"bundle={tiny_bundle}", f"data={data}"])
            assert main() == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert message in line


def test_a_missing_ray_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("sys.argv", ["deploy.ray", "bundle=b", "data=d"])
    assert main() == 2
    assert capsys.readouterr().err.startswith("python -m deploy.ray: shards need Ray: pip install")
