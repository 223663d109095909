"""The manifests of replicas over one store in PostgreSQL: the base with the component `postgresql`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest

from sample.server_process import REPOSITORY
from server.catalogue.location import DatabaseUrl, text_of
from server.command_line import parse_settings
from server.commands import COMMANDS
from server.settings import Settings
from tests.deploy.manifests import environment_of, rendered
from tests.deploy.test_kubernetes import LABELS, VERSIONS
from tests.postgresql import Cluster

ORDERS = (("postgresql",), ("postgresql", "monitoring", "tokens"), ("monitoring", "tokens", "postgresql"))
URL = "postgresql://chaja:secret@db.example.com/chaja"

RESOLUTION_SECONDS = 30
"""Least time between two look-ups of a name in gRPC (`grpc.dns_min_time_between_resolutions_ms`)."""

Resources = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(params=ORDERS, ids=" ".join)
def resources(request: pytest.FixtureRequest) -> Resources:
    return rendered(*request.param)


def pod_of(resources: Resources) -> dict[str, Any]:
    found: dict[str, Any] = resources["Deployment", "chaja"]["spec"]["template"]["spec"]
    return found


def server_of(resources: Resources) -> dict[str, Any]:
    (only,) = pod_of(resources)["containers"]
    assert isinstance(only, dict)
    return only


def settings_of(resources: Resources) -> Settings:
    return parse_settings([], environment_of(server_of(resources), resources) | {"CHAJA_DATA": URL})


def test_every_manifest_fits_the_schemas_of_kubernetes(resources: Resources) -> None:
    for version in VERSIONS:
        for (kind, _), manifest in resources.items():
            if kind != "ServiceMonitor":
                kubernetes_validate.validate(manifest, version, strict=True)


def test_the_autoscaler_changes_the_deployment_which_replaces_the_stateful_set(resources: Resources) -> None:
    assert not [kind for kind, _ in resources if kind == "StatefulSet"]
    autoscaler = resources["HorizontalPodAutoscaler", "chaja"]["spec"]
    target = autoscaler["scaleTargetRef"]
    assert resources[target["kind"], target["name"]]["apiVersion"] == target["apiVersion"]
    assert autoscaler["minReplicas"] >= 3
    for constraint in pod_of(resources)["topologySpreadConstraints"]:
        assert constraint["labelSelector"] == {"matchLabels": LABELS}
    assert resources["Deployment", "chaja"]["spec"]["selector"] == {"matchLabels": LABELS}
    assert resources["PodDisruptionBudget", "chaja"]["spec"]["selector"] == {"matchLabels": LABELS}


def test_a_roll_out_removes_no_pod_before_clients_can_know_its_successor(resources: Resources) -> None:
    spec = resources["Deployment", "chaja"]["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert spec["minReadySeconds"] > RESOLUTION_SECONDS
    assert 0 < settings_of(resources).max_connection_age_seconds <= 600
    probe = server_of(resources)["startupProbe"]
    assert spec["progressDeadlineSeconds"] > probe["periodSeconds"] * probe["failureThreshold"]


def test_the_url_comes_from_the_secret_alone(resources: Resources) -> None:
    (migration,) = pod_of(resources)["initContainers"]
    for container in (server_of(resources), migration):
        (variable,) = container["env"]
        reference = {"secretKeyRef": {"name": "chaja-postgresql", "key": "url"}}
        assert variable == {"name": "CHAJA_DATA", "valueFrom": reference}
        assert "$(" not in str(container), "Kubernetes would put the value into the arguments"
    settings = settings_of(resources)
    assert isinstance(settings.data, DatabaseUrl)
    assert settings.catalogue is None
    assert "secret" not in repr(settings)


def test_the_migration_differs_from_the_server_by_its_arguments_only(resources: Resources) -> None:
    (migration,) = pod_of(resources)["initContainers"]
    assert migration["args"] == ["migrate"]
    assert migration["args"][0] in COMMANDS
    server = server_of(resources)
    for field in ("image", "env", "resources", "securityContext"):
        assert migration[field] == server[field], field
    mounts = [each for each in server["volumeMounts"] if each["name"] != "tokens"]
    assert [each for each in migration["volumeMounts"] if each["name"] != "tokens"] == mounts


def test_pods_that_start_at_the_same_time_make_the_tables_once(cluster: Cluster) -> None:
    resources = rendered("postgresql")
    (migration,) = pod_of(resources)["initContainers"]
    url = text_of(cluster.new_database(migrated=False))
    command = [sys.executable, "-m", "server", *migration["args"]]
    environment = os.environ | {"CHAJA_DATA": url}
    runs = [
        subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True) for _ in "abc"
    ]
    said = [run.communicate(timeout=60)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert sorted("already" in each for each in said) == [False, True, True]


def test_only_the_temporary_directory_is_writable_and_every_volume_is_mounted(resources: Resources) -> None:
    server = server_of(resources)
    assert server["securityContext"]["readOnlyRootFilesystem"]
    assert {each["mountPath"] for each in server["volumeMounts"] if not each.get("readOnly")} == {"/tmp"}  # noqa: S108
    assert {each["name"] for each in server["volumeMounts"]} == {each["name"] for each in pod_of(resources)["volumes"]}


def ports_of(resources: Resources) -> Iterator[tuple[str, int]]:
    for rule in resources["NetworkPolicy", "chaja"]["spec"]["egress"]:
        for port in rule["ports"]:
            yield port["protocol"], port["port"]


def test_the_server_may_reach_postgresql_and_look_up_its_name(resources: Resources) -> None:
    assert set(ports_of(resources)) == {("TCP", 5432), ("TCP", 53), ("UDP", 53)}


def test_prometheus_finds_the_pods_in_this_form_too() -> None:
    resources = rendered("monitoring", "tokens", "postgresql")
    monitor = resources["ServiceMonitor", "chaja"]["spec"]
    service = resources["Service", "chaja-http"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    template = resources["Deployment", "chaja"]["spec"]["template"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] in {each["name"] for each in service["spec"]["ports"]}
