"""Names, texts, metadata, queries and answers that try to act on a terminal, through every command: none of it acts.

Every command is run as a user runs it, as text and as JSON, on an index of hostile documents whose state has changed
in every way since. Everything that was printed is looked at, and the report, and the log.
"""

import json
import logging
import os
from datetime import UTC, datetime

import pytest

from ragwatch.daemon.logs import start_logging, stop_logging
from ragwatch.health.findings import Severity, Status
from ragwatch.health.incidents import Incident, Phase, Problem
from ragwatch.render.status_page import Card, status_page
from tests.cli.conftest import Outcome, Workspace
from tests.servers.receiver import Receiver, Say
from tests.words.test_text import HARMFUL

ESC, CSI, RLO, PDI, SEPARATOR, HIDDEN = "\x1b[31m", "\x9b2J", "\u202e", "\u2069", "\u2028", "\u200b"
EVIL = f"a{ESC}b{CSI}c{RLO}d{PDI}e{SEPARATOR}f{HIDDEN}g\x07[bold]h:smile:"
FORGED = "\nerror: FORGED\n"
NAMES = (f"{EVIL}.md", f"line\nVERIFIED {EVIL}.md", "[red]markup [bold]x.md", "tag\U000e0041s.md")


def document(number: int) -> str:
    return f"# Title {number} {EVIL}\n\nBody {number} of {EVIL} [/x] with words about case {number}.\n"


@pytest.fixture
def hostile(workspace: Workspace) -> Workspace:
    """Indexed with hostile names, texts and records; then edited, removed, added, foreign."""
    for number, name in enumerate(NAMES):
        workspace.write(name, document(number))
    records = [{"id": f"{EVIL}-{n}", "text": document(n + 50), "title": EVIL, "by": EVIL} for n in range(3)]
    (workspace.folder / "records.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    more = '\n[[sources]]\nname = "records"\nkind = "jsonl"\npath = "records.jsonl"\nmetadata_fields = ["by"]\n'
    workspace.configure("\n[state]", f"{more}\n[state]")
    workspace.config.write_text(workspace.config.read_text() + HOOK)
    workspace.monkeypatch.setenv("HOOK", "http://127.0.0.1:9/")
    assert workspace.ragwatch("reindex", "--yes", "--quiet").code == 0
    golden = [
        {
            "id": f"q{n} {EVIL}",
            "query": f"case {n} {EVIL}",
            "document": name,
            "quote": f"words about case {n}",
            "tags": [EVIL],
        }
        for n, name in enumerate(NAMES)
    ]
    golden.append({"id": "never", "query": "case 1", "forbidden": "words about case 1", "guards": EVIL})
    golden.append({"id": f"gone {EVIL}", "query": EVIL, "document": f"{EVIL}?", "quote": EVIL})
    lines = "".join(json.dumps(one) + "\n" for one in golden)
    (workspace.folder / "golden.jsonl").write_text(lines)
    (workspace.folder / "more.jsonl").write_text(lines.replace('"id": "', '"id": "n'))
    (workspace.folder / "queries.log").write_text("".join(f"{n} {EVIL.splitlines()[0]}\n" for n in range(120)))
    (workspace.folder / "jobs").mkdir()
    job = JOB.replace("MODULE", EVIL).replace("SUMMARY", ESC + RLO).replace("RAISED", repr(EVIL))
    (workspace.folder / "jobs" / "evil.py").write_text(job)
    (workspace.folder / "jobs" / f"broken{RLO}.py").write_text(f"raise ValueError({EVIL!r})\n")
    return workspace


def changed(workspace: Workspace) -> None:
    workspace.write(NAMES[0], document(90))
    (workspace.folder / "docs" / NAMES[2]).unlink()
    workspace.write(f"new {EVIL}.md", document(91))
    workspace.write("empty.md", "")
    (workspace.folder / "docs" / f"bad {EVIL}.md").write_bytes(b"\xff\xfe\xfa")
    # A name that is not UTF-8.
    (workspace.folder / "docs" / os.fsdecode(b"not utf-8 \xff.md")).write_text(document(92))


HOOK = """
[alerts]
excerpts = true
confirm = 1

[[alerts.channels]]
name = "hook"
kind = "webhook"
url_env = "HOOK"
"""
JOB = """\
'''MODULE'''
from ragwatch.errors import SourceError
from ragwatch.jobs import Job


def run(settings, now):
    '''SUMMARY'''
    raise SourceError(RAISED)


JOB = Job("evil", "every 1h", run)
"""

COMMANDS = (
    "doctor",
    "probe",
    "probe -v",
    "baseline set",
    "baseline show",
    "probe --power",
    "encoder show",
    "encoder check",
    "golden list --evidence --moved",
    "golden coverage queries.log",
    "golden import more.jsonl --dry-run",
    "golden generate --count 3 --dry-run",
    "migrate status",
    "CHANGE",
    "scan",
    "scan --deep -v",
    "plan",
    "plan --deep --out plan.json",
    "probe",
    "audit --all --by document -v",
    "audit --by by",
    "audit --screen",
    "job list",
    "job next",
    "job run evil",
    "incidents --all",
    "INCIDENT",
    "status",
    "policy",
    "freshness",
    "history --jobs",
    "report --out report.html",
    "alerts outbox",
    "alerts preview --event opened",
    "alerts test",
    "reindex --plan plan.json",
    "reindex --yes",
    "reindex --vectors --yes",
    "history",
    "status",
    "prune",
    "scan -c nowhere\u202e\x1b.toml",
    "golden list --golden plan.json",
    "ack no\u202e\x1b[1m",
    "audit --where x\x1b[31m=\u202ey",
)


def spoken(outcome: Outcome) -> list[str]:
    return sorted({f"U+{ord(one):04X}" for one in set(outcome.out + outcome.err) & set(HARMFUL)} - {"U+000A"})


def test_no_command_lets_text_act(hostile: Workspace) -> None:
    acted: dict[str, list[str]] = {}
    told = ""
    for line in COMMANDS:
        words = line.split(" ")
        if line == "CHANGE":
            changed(hostile)
            continue
        if line == "INCIDENT":
            open_ones = hostile.ragwatch("incidents", "--json").value["incidents"]
            assert open_ones
            words = ["incidents", "show", open_ones[0]["id"]]
        for more in ([], ["--json"]):
            if more and words[:2] == ["job", "run"]:
                continue
            outcome = hostile.ragwatch(*words, *more)
            assert "Traceback" not in outcome.err, (line, outcome.err)
            told += outcome.out
            if found := spoken(outcome):
                acted[" ".join((*words, *more))] = found
            assert not any(said.startswith("error: FORGED") for said in outcome.err.splitlines())
            if more and outcome.out:
                json.loads(outcome.out)
    assert acted == {}
    # It was there, and JSON carries it as it is; names with markup are shown as they are.
    assert json.dumps(EVIL)[1:-1] in told
    assert "[red]markup [bold]x.md" in told
    for name in ("report.html", "report.json"):
        assert not set((hostile.folder / name).read_text(encoding="utf-8")) & set(HARMFUL) - {"\n"}


def test_what_a_server_says_does_not_act(hostile: Workspace) -> None:
    who = json.dumps({"title": "qdrant - vector search engine", "version": "1.17.1"})
    evil = Say(400, json.dumps({"status": {"error": EVIL + FORGED}}))
    with Receiver(always=lambda asked: Say(200, who) if asked.path == "/" else evil).running() as server:
        hostile.configure('path = "index"', f'url = "{server.url}"\ntimeout_s = 2')
        outcome = hostile.ragwatch("scan")
    assert outcome.code != 0
    assert "FORGED" in outcome.err
    assert spoken(outcome) == []
    assert not any(line.startswith("error: FORGED") for line in outcome.err.splitlines())


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_log_lets_text_act(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    handler = start_logging(form)  # type: ignore[arg-type]
    try:
        logging.getLogger("ragwatch.job").info("%s", EVIL + FORGED, extra={"collection": EVIL, "job": "j"})
        try:
            raise ValueError(EVIL + FORGED)
        except ValueError:
            logging.getLogger("ragwatch.daemon").exception("it %s", EVIL)
    finally:
        stop_logging(handler)
    said = capsys.readouterr().err
    assert not set(said) & set(HARMFUL) - {"\n"}
    assert not any(line.startswith("error: FORGED") for line in said.splitlines())
    if form == "json":
        first, second = (json.loads(line) for line in said.splitlines())
        assert first["message"] == EVIL + FORGED
        assert EVIL in second["message"]


def test_the_status_page_lets_no_text_act() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    problem = Problem(EVIL, (), Severity.ERROR, f"<script>{EVIL}", command=EVIL)
    incident = Incident("0123456789abcdef", "docs", "f", problem, Phase.OPEN, now, now)
    page = status_page([Card(EVIL, False, f"{EVIL}{FORGED}", Status.UNKNOWN, (incident,), None)], now)
    assert not set(page) & set(HARMFUL) - {"\n"}
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
