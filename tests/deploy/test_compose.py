import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from sample.server_process import REPOSITORY
from server.command_line import parse_settings
from server.setting_rows import setting_rows

COMPOSE = REPOSITORY / "deploy/compose.yaml"
SCHEMA = REPOSITORY / "build/tools/usr/lib/python3/dist-packages/compose/config/compose_spec.json"


@pytest.fixture(name="services")
def _services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return services


def test_the_file_fits_the_schema_of_compose() -> None:
    if not SCHEMA.exists():
        assert not os.environ.get("CI"), "the schema is missing: make compose-schema"
        pytest.skip("the schema is missing: make compose-schema")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    content = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    jsonschema.validate(content, schema, jsonschema.Draft7Validator)
    content["services"]["server"]["port"] = []
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema, jsonschema.Draft7Validator)


def test_every_file_that_is_mounted_exists(services: dict[str, Any]) -> None:
    mounted = [each for service in services.values() for each in service.get("volumes", [])]
    for each in mounted:
        path = re.sub(r"\$\{\w+:-(.+?)\}", r"\1", each).partition(":")[0]
        if path.startswith(".") and path != "../build/bundle":  # `make` writes the bundle.
            assert (COMPOSE.parent / path).exists(), path


def test_the_image_is_built_from_a_stage_of_the_dockerfile(services: dict[str, Any]) -> None:
    build = services["server"]["build"]
    assert (COMPOSE.parent / build["context"]).resolve() == REPOSITORY
    dockerfile = (REPOSITORY / build["dockerfile"]).read_text(encoding="utf-8")
    assert re.search(rf"^FROM \S+ AS {build['target']}$", dockerfile, re.MULTILINE)


def test_the_settings_of_the_server_exist(services: dict[str, Any]) -> None:
    environment = {"CHAJA_BUNDLE": "/bundle", "CHAJA_DATA": "/data", **services["server"]["environment"]}
    assert set(environment) <= {row.variable for row in setting_rows()}
    assert parse_settings(services["server"]["command"], environment).catalogue == Path("/catalogue.jsonl")


def test_ports_are_open_to_this_machine_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_image_has_a_version(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert name == "server" or re.search(r":v?\d+\.\d+\.\d+$", service["image"])


def test_grafana_finds_prometheus_and_the_dashboards(services: dict[str, Any]) -> None:
    provisioning = COMPOSE.parent / "grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text(encoding="utf-8"))[
        "datasources"
    ]
    url = urlsplit(source["url"])
    assert services[str(url.hostname)]["ports"] == [f"127.0.0.1:{url.port}:{url.port}"]
    (provider,) = yaml.safe_load((provisioning / "dashboards/chaja.yaml").read_text(encoding="utf-8"))["providers"]
    mounted = {each.split(":")[1]: each.split(":")[0] for each in services["grafana"]["volumes"]}
    folder = COMPOSE.parent / mounted[provider["options"]["path"]]
    home = Path(services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (folder / home.name).exists()


def test_prometheus_scrapes_the_server_with_the_configuration_of_a_server_without_containers() -> None:
    alone, containers = (
        yaml.safe_load((COMPOSE.parent / "prometheus" / name).read_text(encoding="utf-8"))
        for name in ("prometheus.yml", "compose.yml")
    )
    assert containers["scrape_configs"][0]["static_configs"] == [{"targets": ["server:9464"]}]
    containers["scrape_configs"][0]["static_configs"] = alone["scrape_configs"][0]["static_configs"]
    assert containers == alone
