import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from server.command_line import parse_settings
from server.setting_rows import setting_rows
from server.settings import Settings
from tests.deploy.manifests import (
    COMPONENTS,
    IMAGE_SETTINGS,
    KUBERNETES,
    documents_of,
    environment_of,
    rendered,
    resource,
    resources_of,
)
from tests.node import run_node
from tools.doc_tables import documented_metrics

VERSIONS = ("1.30", "1.37")
"""The oldest Kubernetes that README.md names, and the newest whose schemas are known."""

LABELS = {"app.kubernetes.io/name": "chaja"}


def container() -> dict[str, Any]:
    (only,) = resource("StatefulSet", "chaja")["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def environment() -> dict[str, str]:
    """The settings of the image, overridden by those of the base."""
    lines = (KUBERNETES / "settings.env").read_text(encoding="utf-8").splitlines()
    return IMAGE_SETTINGS | dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def settings() -> Settings:
    return parse_settings([], environment())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "manifest", resources_of(KUBERNETES), ids=lambda each: f"{each['kind']}-{each['metadata']['name']}"
)
def test_every_manifest_fits_the_schemas_of_kubernetes(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize(("port", "fits"), [("http", True), (9464, False)])
def test_the_service_monitor_fits_the_schema_of_the_operator(tmp_path: Path, port: str | int, fits: bool) -> None:
    (monitor,) = resources_of(KUBERNETES / "components/monitoring")
    monitor["spec"]["endpoints"][0]["port"] = port
    errors = run_node(Path(__file__).with_name("validate.mjs"), tmp_path, json.dumps(monitor))
    assert (errors == []) is fits, errors


def test_every_selector_finds_the_pods_of_the_server_and_no_others() -> None:
    template = resource("StatefulSet", "chaja")["spec"]["template"]
    assert template["metadata"]["labels"] == LABELS
    assert resource("StatefulSet", "chaja")["spec"]["selector"] == {"matchLabels": LABELS}
    assert resource("PodDisruptionBudget", "chaja")["spec"]["selector"] == {"matchLabels": LABELS}
    for service in ("chaja-replicas", "chaja-http"):
        assert resource("Service", service)["spec"]["selector"] == LABELS
    policy = resource("NetworkPolicy", "chaja")["spec"]
    assert policy["podSelector"] == {"matchLabels": LABELS}
    assert LABELS.items() <= resource("Service", "chaja-http")["metadata"]["labels"].items()
    # kustomize must not add the labels to selectors: the policy's would then admit no client.
    (kustomization,) = documents_of(KUBERNETES / "kustomization.yaml")
    assert not any(each.get("includeSelectors") for each in kustomization["labels"])


def test_prometheus_gets_the_token_that_the_component_sets() -> None:
    (component,) = documents_of(KUBERNETES / "components/tokens/kustomization.yaml")
    (patch,) = [each["patch"] for each in component["patches"] if each["target"]["kind"] == "ServiceMonitor"]
    (added,) = yaml.safe_load(patch)
    assert added["value"]["credentials"] == {"name": "chaja-tokens", "key": "http"}


def test_the_base_renders_with_the_components_of_every_form() -> None:
    resources = rendered("monitoring", "tokens")
    assert resources["NetworkPolicy", "chaja"]["spec"]["podSelector"] == {"matchLabels": LABELS}
    client = resources["NetworkPolicy", "chaja"]["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    assert client == {"chaja-client": "true"}
    assert resources["PodDisruptionBudget", "chaja"]["spec"]["selector"] == {"matchLabels": LABELS}
    assert "authorization" in resources["ServiceMonitor", "chaja"]["spec"]["endpoints"][0]
    (server,) = resources["StatefulSet", "chaja"]["spec"]["template"]["spec"]["containers"]
    settings = parse_settings([], environment_of(server, resources))
    mounted = {each["mountPath"] for each in server["volumeMounts"]}
    for file in (settings.tokens, settings.http_token_file):
        assert file is not None
        assert str(file.parent) in mounted


def test_the_base_and_its_components_list_every_file() -> None:
    for folder in (KUBERNETES, *COMPONENTS):
        (kustomization,) = documents_of(folder / "kustomization.yaml")
        listed = {"kustomization.yaml", *kustomization.get("resources", [])}
        listed |= {name for each in kustomization.get("configMapGenerator", []) for name in each.get("envs", [])}
        listed |= {each["path"] for each in kustomization.get("patches", []) if "path" in each}
        listed |= {"README.md", "adapter-rules.yaml"} if folder == KUBERNETES else set()
        assert {path.name for path in folder.iterdir() if path.is_file()} == listed


def test_the_settings_exist_and_the_server_accepts_them() -> None:
    assert set(environment()) <= {row.variable for row in setting_rows()}
    assert str(settings().listen) == "0.0.0.0:50051"
    assert str(settings().metrics) == "0.0.0.0:9464"


def test_the_ports_are_those_that_the_server_listens_on() -> None:
    ports = {each["name"]: each["containerPort"] for each in container()["ports"]}
    assert f":{ports['grpc']}" in str(settings().listen)
    assert f":{ports['http']}" in str(settings().metrics)
    assert container()["livenessProbe"]["grpc"]["port"] == ports["grpc"]
    for probe in ("startupProbe", "readinessProbe"):
        assert container()[probe]["httpGet"] == {"path": "/readyz", "port": "http"}
    for service in ("chaja-replicas", "chaja-http"):
        (port,) = resource("Service", service)["spec"]["ports"]
        assert ports[port["targetPort"]] == port["port"]
    (monitor,) = resources_of(KUBERNETES / "components/monitoring")
    assert monitor["spec"]["endpoints"][0]["port"] in ports
    for rule in resource("NetworkPolicy", "chaja")["spec"]["ingress"]:
        assert {each["port"] for each in rule["ports"]} <= set(ports)


def test_every_directory_that_the_server_writes_is_a_writable_volume() -> None:
    assert container()["securityContext"]["readOnlyRootFilesystem"]
    writable = {each["mountPath"] for each in container()["volumeMounts"] if not each.get("readOnly")}
    assert writable == {str(settings().data), "/tmp"}  # noqa: S108
    spec = resource("StatefulSet", "chaja")["spec"]
    volumes = {each["name"] for each in spec["template"]["spec"]["volumes"]}
    volumes |= {each["metadata"]["name"] for each in spec["volumeClaimTemplates"]}
    assert {each["name"] for each in container()["volumeMounts"]} == volumes


def test_a_pod_has_time_to_drain() -> None:
    pod = resource("StatefulSet", "chaja")["spec"]["template"]["spec"]
    wait = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed = wait + settings().drain_wait_seconds + settings().drain_seconds
    assert pod["terminationGracePeriodSeconds"] >= needed + 10


def test_the_autoscaler_reads_the_metric_that_the_rule_of_the_adapter_makes() -> None:
    (rules,) = documents_of(KUBERNETES / "adapter-rules.yaml")
    (rule,) = rules
    pods = [each["pods"] for each in resource("HorizontalPodAutoscaler", "chaja")["spec"]["metrics"] if "pods" in each]
    assert [each["metric"]["name"] for each in pods] == [rule["name"]["as"]]
    known = {name for name, *_ in documented_metrics()}
    used = set(re.findall(r"\bchaja_\w+?(?=_(?:sum|count|bucket)\{)", rule["seriesQuery"] + rule["metricsQuery"]))
    assert used == {"chaja_stage_seconds"} <= known


def test_the_names_that_resources_refer_to_exist() -> None:
    spec = resource("StatefulSet", "chaja")["spec"]
    assert resource("Service", spec["serviceName"])["spec"]["clusterIP"] == "None"
    assert resource("ServiceAccount", spec["template"]["spec"]["serviceAccountName"])
    target = resource("HorizontalPodAutoscaler", "chaja")["spec"]["scaleTargetRef"]
    assert resource(target["kind"], target["name"])
    (kustomization,) = documents_of(KUBERNETES / "kustomization.yaml")
    assert [each["name"] for each in kustomization["images"]] == [container()["image"]]
    assert [each["configMapRef"]["name"] for each in container()["envFrom"]] == [
        each["name"] for each in kustomization["configMapGenerator"]
    ]
