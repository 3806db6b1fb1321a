"""docker-compose.yml and the Dockerfile: valid, and about files, commands and settings that exist."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ragwatch.config.loading import overlay
from ragwatch.config.sections import Config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return found


def test_compose_fits_the_schema_of_the_compose_specification() -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    checked = subprocess.run(
        [program, "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_ports_are_published_on_loopback_only(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_file_that_is_mounted_or_copied_exists(services: dict[str, Any]) -> None:
    mounted = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())]
    files = [ROOT / place for place in mounted if place.startswith("./deploy")]
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    files += [ROOT / name for line in copied for name in line.split()]
    assert len(files) >= 8
    assert [file for file in files if not file.exists()] == []


def test_the_settings_in_the_environment_are_settings(services: dict[str, Any]) -> None:
    values: dict[str, Any] = {"collection": "docs", "sources": [{"kind": "files", "name": "docs", "path": "."}]}
    origins = overlay(values, services["ragwatch"]["environment"])
    config = Config.model_validate(values)
    assert ("daemon", "listen") in origins
    assert config.daemon.listen == "0.0.0.0:9464"


def test_the_container_is_given_longer_to_stop_than_the_daemon_takes(services: dict[str, Any]) -> None:
    values: dict[str, Any] = {"collection": "docs", "sources": [{"kind": "files", "name": "docs", "path": "."}]}
    stop = Config.model_validate(values).daemon.stop_within.total_seconds()
    assert int(services["ragwatch"]["stop_grace_period"].removesuffix("s")) > stop


def test_prometheus_scrapes_the_port_that_is_listened_on(services: dict[str, Any]) -> None:
    scraped = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["scrape_configs"][0]
    assert scraped["static_configs"][0]["targets"] == ["ragwatch:9464"]
    assert services["ragwatch"]["environment"]["RAGWATCH_DAEMON__LISTEN"].endswith(":9464")
    assert ":9464/healthz" in services["ragwatch"]["healthcheck"]["test"][-1]


def test_the_image_runs_as_an_ordinary_user() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert lines.index("USER ragwatch") < next(i for i, line in enumerate(lines) if line.startswith("ENTRYPOINT"))
