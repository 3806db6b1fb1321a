"""Killing daemons: a collection whose problems come and go, a receiver that misbehaves, and SIGKILL at any moment."""

import random
import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ragwatch.health.incidents import Event, Phase
from tests.cli.daemons import SCAN, daemon, ledger_of, write_job
from tests.servers.receiver import Behaviour, Fail, Receiver, Say

CONFIG = """\
collection = "docs"
[store]
path = "index"
[encoder]
kind = "openai"
base_url = "{url}"
model = "served-model"
dimensions = 64
[[sources]]
name = "docs"
path = "docs"
[state]
url = "{state}"
[daemon]
listen = ""
[[alerts.channels]]
name = "hook"
kind = "webhook"
url_env = "HOOK"
timeout_s = 1.0
[alerts]
confirm = 1
reopen_within = "0s"
"""
BAD: tuple[Behaviour, ...] = (
    Say(429, "slow down", {"Retry-After": "1"}),
    Say(500, "no"),
    Fail("hang"),
    Fail("reset"),
    Fail("lose"),
    Fail("drip headers"),
)


@dataclass(frozen=True)
class Ordeal:
    """What was found afterwards."""

    kills: int
    incidents: int
    messages: int
    lost: tuple[str, ...]
    """Incidents whose opening or resolution did not arrive."""
    repeated: int
    """Messages that arrived again, under the same key."""
    contradictory: tuple[str, ...]
    """Keys under which different things were sent."""
    disordered: tuple[str, ...]
    """Incidents that were resolved before they were opened."""
    stuck: tuple[str, ...]
    """Runs, messages and leases that nobody has brought to an end."""


def prepare(folder: Path, encoder: str, index: Callable[[Path], None], *, state: str = "sqlite:///state.db") -> None:
    """Make a collection of three documents that is in order, and one job."""
    (folder / "docs").mkdir()
    for number in range(3):
        (folder / "docs" / f"{number}.md").write_text(f"# Page {number}\n\nText of page {number}.\n", encoding="utf-8")
    (folder / "ragwatch.toml").write_text(CONFIG.format(url=encoder, state=state), encoding="utf-8")
    write_job(folder, "scan", SCAN.format(extra=""))
    index(folder)


def kill_daemons(folder: Path, receiver: Receiver, kills: int, rng: random.Random, longest_s: float = 2.0) -> Ordeal:
    """Start and kill daemons, let the last one live until all is told, and say what arrived."""
    receiver.always = lambda request: Say()
    # On a busy machine they live longer, so that they come as far.
    longest_s = max(longest_s, 1.5 * _first_scan(folder, receiver))
    problem = folder / "docs" / "new.md"
    for number in range(kills):
        receiver.script.append(rng.choice(BAD) if rng.random() < 0.3 else Say())
        if number % 3 == 1:
            problem.write_text("# New\n\nNot indexed.\n", encoding="utf-8")
        elif number % 3 == 0:
            problem.unlink(missing_ok=True)
        with daemon(folder, 0, environment={"HOOK": receiver.url}) as running:
            time.sleep(rng.uniform(0.2, longest_s))
            running.process.send_signal(signal.SIGKILL)
    problem.unlink(missing_ok=True)
    receiver.script.clear()
    with daemon(folder, 0, environment={"HOOK": receiver.url}) as running:
        stuck = _settled(folder)
        code = running.stop()
    return _judge(folder, receiver, kills, (*stuck, *([f"exit {code}"] if code else [])))


def _first_scan(folder: Path, receiver: Receiver) -> float:
    """Return how many seconds a daemon takes from its start to the end of its first scan."""
    began = time.monotonic()
    with daemon(folder, 0, environment={"HOOK": receiver.url}) as running:
        while time.monotonic() - began < 120:
            with closing(ledger_of(folder)) as ledger:
                if any(run.outcome == "done" for run in ledger.runs(collection="docs", verb="job:scan")):
                    break
            time.sleep(0.05)
        took = time.monotonic() - began
        running.process.send_signal(signal.SIGKILL)
    return took


def _settled(folder: Path) -> tuple[str, ...]:
    """Wait until every incident has ended and every message is out; return what has not."""
    deadline = time.monotonic() + 120
    while True:
        with closing(ledger_of(folder)) as ledger:
            left = [f"incident {one.problem.cause}" for one in ledger.incidents(collection="docs")]
            left += [f"message {one.error}" for one in ledger.messages(collection="docs", state="waiting")]
            scans = ledger.runs(collection="docs", verb="job:scan", limit=3)
        if not left and scans and scans[-1].outcome == "done":
            return ()
        if time.monotonic() > deadline:
            return tuple(left)
        time.sleep(0.2)


def _judge(folder: Path, receiver: Receiver, kills: int, stuck: tuple[str, ...]) -> Ordeal:
    sent: dict[str, list[str]] = {}
    bodies: dict[str, set[str]] = {}
    for request in receiver.taken:
        incident, event = str(request.value["incident"]), str(request.value["event"])
        bodies.setdefault(request.key, set()).add(f"{incident} {event}")
        if event not in sent.setdefault(incident, []):
            sent[incident].append(event)
    with closing(ledger_of(folder)) as ledger:
        found = [one for one in ledger.incidents(collection="docs", ended=True) if one.opened is not None]
        queued = ledger.messages(collection="docs", limit=10_000)
        running = [run.id for run in ledger.runs(collection="docs", limit=500) if run.outcome == "running"]
        jobs = [run for run in running if "job" in run]
    told = {message.thread for message in queued}
    wanted = [one for one in found if one.id in told and one.phase is Phase.RESOLVED]
    both = {str(Event.OPENED), str(Event.RESOLVED)}
    keys = [request.key for request in receiver.taken]
    return Ordeal(
        kills=kills,
        incidents=len(wanted),
        messages=len(bodies),
        lost=tuple(one.id for one in wanted if not both <= set(sent.get(one.id, []))),
        repeated=len(keys) - len(set(keys)),
        contradictory=tuple(key for key, said in bodies.items() if len(said) > 1),
        disordered=tuple(one for one, events in sent.items() if events[0] != str(Event.OPENED)),
        stuck=(*stuck, *jobs),
    )
