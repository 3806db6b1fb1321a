"""Every command that the README and docs/ show is run, or checked against the help; their tables are complete."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from ragwatch.cli.commands import run
from ragwatch.errors import EncoderMismatchError, ExitCode
from ragwatch.health.causes import AT_ONCE, Cause
from ragwatch.health.findings import SEVERITY, Kind
from tests.servers.qdrant import QdrantServer

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
WHOLE = "\n".join([README, *PAGES.values()])
NAMES = (
    "init|doctor|scan|plan|reindex|audit|status|history|demo"
    "|daemon|job list|job next|job run|encoder show|encoder diff|encoder check"
    "|probe compare|probe|baseline set|baseline show"
    "|freshness|policy|report|prune"
    "|incidents show|incidents|ack|snooze|resolve"
    "|alerts test|alerts outbox|alerts retry|alerts preview"
    "|golden generate|golden import|golden list|golden review|golden coverage"
)
MIGRATE = "plan|start|status|gate|bridge|cutover|rollback|finish|abandon"
NAMES += "".join(f"|migrate {step}" for step in MIGRATE.split("|"))
COMMANDS = sorted(set(re.findall(rf"ragwatch ({NAMES})\b", WHOLE)))


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", WHOLE, flags=re.MULTILINE | re.DOTALL)
    return [text for found, text in fenced if found == language]


def ragwatch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAGWATCH_")}
    command = [sys.executable, "-m", "ragwatch", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with a few real documents beside it."""
    (tmp_path / "docs").mkdir()
    for name in ("refunds.md", "restricted-goods.md", "service-levels.md"):
        shutil.copy(ROOT / "fixtures" / "handbook" / "v1" / "policies" / name, tmp_path / "docs")
    return tmp_path


def walk(folder: Path, *init: str) -> None:
    """Run what "Your own corpus" shows, with the real encoder, and repair an edit."""
    shown = next(block for block in blocks("") if "ragwatch init" in block)
    lines = [line.partition("#")[0].split() for line in shown.splitlines() if line.startswith("ragwatch ")]
    assert [line[1] for line in lines] == ["init", "doctor", "scan", "plan", "reindex"]
    expected = {"scan": ExitCode.FINDINGS}
    for line in lines:
        extra = {"init": ["--yes", *init], "reindex": ["--yes"]}.get(line[1], [])
        done = ragwatch(folder, *line[1:], *extra)
        assert done.returncode == expected.get(line[1], ExitCode.DONE), done.stdout + done.stderr
    document = folder / "docs" / "refunds.md"
    document.write_text(document.read_text(encoding="utf-8").replace("30 days", "48 hours"), encoding="utf-8")
    found = json.loads(ragwatch(folder, "scan", "--json").stdout)
    assert [(finding["kind"], finding["document"]) for finding in found["findings"]] == [("stale", "refunds.md")]
    assert ragwatch(folder, "plan", "--check").returncode == ExitCode.PENDING
    repaired = json.loads(ragwatch(folder, "reindex", "--yes", "--json").stdout)
    assert repaired["verified"]
    assert repaired["encoded_chunks"] == 1
    assert ragwatch(folder, "scan", "--deep").returncode == ExitCode.DONE
    assert ragwatch(folder, "status").returncode == ExitCode.DONE


def test_your_own_corpus_embedded(folder: Path) -> None:
    walk(folder)


def test_your_own_corpus_on_a_server(folder: Path, qdrant_server: QdrantServer) -> None:
    walk(folder, "--url", qdrant_server.url)


def test_the_python_example_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["ragwatch", "init", "--source", "docs", "--yes"])
    assert run() == ExitCode.DONE
    capsys.readouterr()
    exec(next(block for block in blocks("python") if "open_pipeline" in block), {})
    assert capsys.readouterr().out.splitlines()[0].startswith("degraded")


def test_the_job_example_is_a_job(folder: Path) -> None:
    from ragwatch.jobs import read_folder

    (folder / "hello.py").write_text(
        next(block for block in blocks("python") if "JOB = Job(" in block), encoding="utf-8"
    )
    found = read_folder(folder)
    assert [(job.name, job.trigger, job.summary) for job in found.jobs] == [("hello", "every 6h", "Do nothing, well.")]


def test_the_guard_example_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sentence_transformers import SentenceTransformer

    from ragwatch.encoders import resolve_model

    for line in (["init", "--source", "docs", "--collection", "docs", "--yes"], ["reindex", "--yes"]):
        done = ragwatch(folder, *line)
        assert done.returncode == ExitCode.DONE, done.stdout + done.stderr
    monkeypatch.chdir(folder)
    model = SentenceTransformer(str(resolve_model("all-MiniLM-L6-v2").folder), device="cpu")
    example = next(block for block in blocks("python") if "guard(" in block)
    exec(example, {"model": model})
    with pytest.raises(EncoderMismatchError, match="collection 'docs'"):
        exec(example.replace("encode(texts)\n", "encode(['query: ' + text for text in texts])\n"), {"model": model})


def test_freshness_and_policy_are_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    shown = next(block for block in blocks("") if "ragwatch policy" in block)
    lines = [line.partition("#")[0].split()[1:] for line in shown.splitlines()]
    assert lines == [["freshness"], ["policy"], ["report"], ["prune"]]
    for line in (["init", "--source", "docs", "--yes"], *lines):
        monkeypatch.setattr("sys.argv", ["ragwatch", *line])
        assert run() == ExitCode.DONE
    assert "jobs propose repairs, people make them" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_shown_exists(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = re.findall(rf"^\| `ragwatch {command}`.*$", WHOLE, flags=re.MULTILINE)
    typed = re.findall(rf"(?:^|`)ragwatch {command}\b[^`\n#]*", WHOLE, flags=re.MULTILINE)
    shown = {flag for text in [*rows, *typed] for flag in re.findall(r"(?<![\w-])--[a-z-]+", text)}
    monkeypatch.setattr("sys.argv", ["ragwatch", *command.split(), "--help"])
    assert run() == ExitCode.DONE
    helped = capsys.readouterr().out
    assert not {flag for flag in shown if flag not in helped}


def test_every_kind_of_finding_is_explained_with_its_severity() -> None:
    section = README.partition("\n## What a scan finds\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", section, flags=re.MULTILINE))
    assert rows == {str(kind): SEVERITY[kind].label for kind in Kind}


def test_every_cause_is_explained_and_when_it_is_believed() -> None:
    section = PAGES["incidents.md"]
    rows = dict(re.findall(r"^\| `(\w+)` \| (at once|confirmed) \|", section, flags=re.MULTILINE))
    assert rows == {str(cause): "at once" if cause in AT_ONCE else "confirmed" for cause in Cause}


def test_what_is_said_of_an_incident_is_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def typed(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["ragwatch", *arguments])
        capsys.readouterr()
        assert run() in (ExitCode.DONE, ExitCode.FINDINGS)
        return capsys.readouterr().out

    monkeypatch.chdir(folder)
    typed("init", "--source", "docs", "--yes")
    typed("scan")
    incident = json.loads(typed("incidents", "--json"))["incidents"][0]["id"]
    shown = next(block for block in blocks("") if "ragwatch ack" in block)
    lines = [shlex.split(line, comments=True)[1:] for line in shown.splitlines()]
    assert [line[0] for line in lines] == ["incidents", "incidents", "ack", "snooze", "resolve"]
    for line in lines:
        typed(*(incident if part == "5a1c0e" else part for part in line))


def test_every_exit_code_is_explained() -> None:
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", WHOLE, flags=re.MULTILINE)}
    assert rows == {int(code) for code in ExitCode}


def test_the_configuration_example_is_valid(tmp_path: Path) -> None:
    from ragwatch.config.loading import load_config

    path = tmp_path / "ragwatch.toml"
    whole = next(block for block in blocks("toml") if "collection =" in block)
    path.write_text(whole, encoding="utf-8")
    assert load_config(path, {}).collection == "handbook"
    for part in blocks("toml"):
        if part != whole and "[[sources]]" not in part:
            path.write_text(f'collection = "c"\n{part}\n[[sources]]\nname = "s"\npath = "s"\n', encoding="utf-8")
            assert load_config(path, {}).collection == "c"


def test_the_stated_defaults_of_endpoints_are_the_real_ones() -> None:
    from ragwatch.config.sections import EncoderConfig

    block = PAGES["encoders.md"].partition("```toml\n")[2].partition("```")[0]
    stated = tomllib.loads(block)["encoder"]
    assert stated == {name: EncoderConfig.model_fields[name].default for name in stated}
    assert len(stated) == 6


def test_the_commands_of_the_makefile_are_the_readmes() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", WHOLE, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_cron_job_runs_a_command_that_there_is_with_what_it_mounts() -> None:
    (shown,) = (yaml.safe_load(text) for text in blocks("yaml"))
    pod = shown["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,), (volume,) = pod["containers"], pod["volumes"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert container["image"] == compose["services"]["ragwatch"]["image"]
    job, config = container["args"][2], Path(container["args"][4])
    assert container["args"] == ["job", "run", job, "--config", str(config)]
    assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": str(config.parent)}]
    assert {item["path"] for item in volume["configMap"]["items"]} == {config.name, f"jobs/{job}.py"}
    assert (ROOT / "jobs" / f"{job}.py").exists()


def test_every_page_is_listed_and_every_link_leads_somewhere() -> None:
    assert set(re.findall(r"\]\(docs/([\w-]+\.md)\)", README)) == set(PAGES)
    for folder, text in [(ROOT, README), *((ROOT / "docs", page) for page in PAGES.values())]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (folder / link).exists(), link
