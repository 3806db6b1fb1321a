"""The systemd units, held against systemd's own checker and against the commands that they run."""

import configparser
import subprocess
from pathlib import Path

import pytest
import typer

from ragwatch.cli.commands import app
from ragwatch.config.daemon import DaemonConfig
from tests.servers.debian import program

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PROGRAM = "/opt/ragwatch/bin/ragwatch"


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((DEPLOY / name).read_text())
    return parser


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    for file in (*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")):
        # The checker wants a program that exists, and an instance of a template.
        text = file.read_text().replace(PROGRAM, "/bin/true")
        (tmp_path / file.name).write_text(text)
        (tmp_path / file.name.replace("@.", "@scan.")).write_text(text)
    units = ["./ragwatch.service", "./ragwatch-job@scan.service", "./ragwatch-job@scan.timer"]
    command = [str(program("systemd-analyze", "systemd")), "verify", *units]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    complaints = [line for line in checked.stderr.splitlines() if "ragwatch" in line]
    assert (checked.returncode, complaints) == (0, [])


@pytest.mark.parametrize(
    ("name", "path"), [("ragwatch.service", ["daemon"]), ("ragwatch-job@.service", ["job", "run"])]
)
def test_the_command_of_a_unit_is_a_command(name: str, path: list[str]) -> None:
    words = unit(name)["Service"]["ExecStart"].split()
    assert words[: len(path) + 1] == [PROGRAM, *path]
    command = typer.main.get_command(app)
    for word in path:
        command = command.commands[word]  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_the_daemon_is_given_longer_to_stop_than_it_takes() -> None:
    service = unit("ragwatch.service")["Service"]
    assert int(service["TimeoutStopSec"]) > DaemonConfig().stop_within.total_seconds()
    assert service["Type"] == "notify"
