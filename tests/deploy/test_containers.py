"""docker-compose.yml and the Dockerfile: valid, and about files, commands and settings that exist."""

import json
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import typer
import yaml

from ragwatch.cli.commands import app
from ragwatch.config.loading import overlay
from ragwatch.config.sections import Config
from ragwatch.wiring import DEFAULT_STATE

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return found


def copied() -> list[str]:
    """What the Dockerfile copies out of the checkout."""
    lines = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return [name for line in lines for name in line.split()]


def volumes(service: dict[str, Any]) -> dict[str, str]:
    """Where a service has its volumes: path in the container → folder or name."""
    found: dict[str, str] = {}
    for volume in service["volumes"]:
        source, target = (
            (volume["source"], volume["target"]) if isinstance(volume, dict) else volume.removesuffix(":ro").split(":")
        )
        found[target] = source
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
    mounted = [place for service in services.values() for place in volumes(service).values()]
    files = [ROOT / place for place in mounted if place.startswith("./deploy")]
    files += [ROOT / name for name in copied()]
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


def test_the_daemon_is_started_by_a_command_that_waits_for_the_lease_of_one_that_was_killed(
    services: dict[str, Any],
) -> None:
    command, *options = services["ragwatch"]["command"]
    known = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]
    assert set(options) <= {option for parameter in known for option in parameter.opts}
    # It has the number that it had before it was killed, so that nobody can tell the two apart: only waiting helps.
    assert "--standby" in options


def test_state_is_in_a_volume_of_its_own_that_belongs_to_the_user_of_the_image(services: dict[str, Any]) -> None:
    folder = PurePosixPath("/watch", DEFAULT_STATE.removeprefix("sqlite:///")).parent
    assert "." not in volumes(services["ragwatch"])[str(folder)]
    steps = (ROOT / "Dockerfile").read_text().partition("\nUSER ragwatch\n")[0]
    (made,) = re.findall(r"install --directory --owner=ragwatch --group=ragwatch (.+)", steps)
    assert made.split() == ["/watch", str(folder)]
    assert PurePosixPath(services["ragwatch"]["environment"]["HF_HOME"]).is_relative_to(folder)


def test_a_missing_folder_is_not_made_by_docker_for_root(services: dict[str, Any]) -> None:
    (bound,) = (volume for volume in services["ragwatch"]["volumes"] if isinstance(volume, dict))
    assert (bound["source"], bound["bind"]) == ("./watch", {"create_host_path": False})


def test_the_container_of_ragwatch_can_do_little(services: dict[str, Any]) -> None:
    service = services["ragwatch"]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_what_prometheus_keeps_is_in_its_volume(services: dict[str, Any]) -> None:
    service = services["prometheus"]
    (path,) = (word.partition("=")[2] for word in service["command"] if word.startswith("--storage.tsdb.path="))
    assert volumes(service)[path] == "prometheus"


def test_every_named_volume_is_declared() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    named = {place for one in compose["services"].values() for place in volumes(one).values() if place[0] != "."}
    assert named == set(compose["volumes"])


def test_what_is_copied_is_all_that_is_sent_to_the_build() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(copied())


def test_secrets_and_documents_are_not_committed(services: dict[str, Any]) -> None:
    (secrets,) = services["ragwatch"]["env_file"]
    assert (secrets["path"], secrets["required"]) == ("./watch/secrets.env", False)
    assert "/watch/" in (ROOT / ".gitignore").read_text().splitlines()


def test_another_version_of_ragwatch_does_not_fetch_torch_again() -> None:
    steps = (ROOT / "Dockerfile").read_text()
    assert steps.index('"$TORCH"\n') < steps.index("COPY ragwatch")


def test_prometheus_scrapes_the_port_that_is_listened_on(services: dict[str, Any]) -> None:
    scraped = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["scrape_configs"][0]
    assert scraped["static_configs"][0]["targets"] == ["ragwatch:9464"]
    # Its requests carry that name, which is answered only where it is configured.
    assert json.loads(services["ragwatch"]["environment"]["RAGWATCH_DAEMON__HOSTS"]) == ["ragwatch"]
    assert services["ragwatch"]["environment"]["RAGWATCH_DAEMON__LISTEN"].endswith(":9464")
    assert ":9464/healthz" in services["ragwatch"]["healthcheck"]["test"][-1]


def test_the_image_runs_as_an_ordinary_user() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert lines.index("USER ragwatch") < next(i for i, line in enumerate(lines) if line.startswith("ENTRYPOINT"))
