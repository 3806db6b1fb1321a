"""Kill a sender again and again while its receivers misbehave, and look at what arrived."""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ragwatch.state import open_state
from tests.alerts.sending import LIFE
from tests.servers.children import start_child
from tests.servers.receiver import Fail, Received, Receiver, Say

ROOT = Path(__file__).parents[2]
MOST = 6
BAD: tuple[Say | Fail, ...] = (
    Say(429, "slow down", {"Retry-After": "0"}),
    Say(500, "rollup_error"),
    Say(503, ""),
    Say(302, "", {"Location": "/login"}),
    Say(404, "not deployed yet"),
    Fail("hang"),
    Fail("reset"),
    Fail("drip headers"),
    Fail("drip body"),
    Fail("lose"),
    Fail("lose"),
)


@dataclass
class Arrived:
    """What one receiver took."""

    keys: list[str]
    received: int
    faults: list[str] = field(default_factory=list)

    @property
    def duplicates(self) -> int:
        return len(self.keys) - len(set(self.keys))


@dataclass
class Outcome:
    """What became of it all."""

    kills: int
    incidents: int
    seconds: float
    channels: dict[str, Arrived]
    unsettled: int
    taken_amid: int
    """Requests that were taken before the last kill."""

    @property
    def faults(self) -> list[str]:
        found = [f"{name}: {fault}" for name, arrived in self.channels.items() for fault in arrived.faults]
        return found + ([f"{self.unsettled} messages of the outbox are not sent"] if self.unsettled else [])


def kill_and_check(folder: Path, *, kills: int, incidents: int, seed: int) -> Outcome:
    """Start a sender and kill it at a random moment, `kills` times; then let it finish.

    The moment is a short while after 0 to `MOST` more requests have arrived, so that every machine is as far by then.
    """
    draw, begun, done = random.Random(seed), time.monotonic(), 0
    with Receiver(_moody(seed + 1, "ok")).running() as team, Receiver(_moody(seed + 2, "")).running() as hook:
        team.script.append(Fail("lose"))
        hook.script.append(Fail("lose"))
        for _ in range(kills):
            done += _killed(folder, team, hook, incidents, draw)
        amid = len(team.taken) + len(hook.taken)
        team.always, hook.always = Say(), Say(204, "")
        with _run(folder, team, hook, incidents) as last:
            assert last.wait(timeout=300) == 0
        channels = {"team": _look(team, "team", incidents), "hook": _look(hook, "hook", incidents)}
    return Outcome(done, incidents, time.monotonic() - begun, channels, _unsettled(folder, incidents), amid)


def _moody(seed: int, ok: str) -> Callable[[Received], Say | Fail]:
    draw = random.Random(seed)
    return lambda _request: draw.choice(BAD) if draw.random() < 0.4 else Say(200, ok)


def _run(folder: Path, team: Receiver, hook: Receiver, incidents: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.alerts.sending", str(folder), team.url, hook.url, str(incidents)]
    return start_child(command, cwd=ROOT, stdout=subprocess.PIPE)


def _killed(folder: Path, team: Receiver, hook: Receiver, incidents: int, draw: random.Random) -> int:
    """Return whether the sender was still at work when it was killed."""
    with _run(folder, team, hook, incidents) as child:
        assert child.stdout is not None
        child.stdout.readline()
        enough = len(team.received) + len(hook.received) + draw.randint(0, MOST)
        deadline = time.monotonic() + 120
        while len(team.received) + len(hook.received) < enough and child.poll() is None:
            assert time.monotonic() < deadline, "the sender lives and sends nothing"
            time.sleep(0.002)
        time.sleep(draw.uniform(0.0, 0.05))
        child.kill()
    return int(child.returncode == -9)


def _look(receiver: Receiver, channel: str, incidents: int) -> Arrived:
    """Check that everything arrived, again only under the same key with the same words, and in order."""
    arrived = Arrived([request.key for request in receiver.taken], len(receiver.received))
    rank = {str(event): number for number, event in enumerate(LIFE)}
    expected = {f"{n:08x}-{event}-{channel}" for n in range(incidents) for event in LIFE}
    arrived.faults += [f"{key} never arrived" for key in sorted(expected - set(arrived.keys))]
    arrived.faults += [f"{key} was never queued" for key in sorted(set(arrived.keys) - expected)]
    last: Counter[str] = Counter()
    titles: dict[str, object] = {}
    for request in receiver.taken:
        incident, event, _ = request.key.split("-")
        if rank[event] < last[incident]:
            arrived.faults.append(f"{request.key} arrived after what came after it")
        last[incident] = max(last[incident], rank[event])
        told = (request.value.get("title"), request.value.get("incident"), request.value.get("event"))
        if titles.setdefault(request.key, told) != told:
            arrived.faults.append(f"{request.key} arrived with other words")
    return arrived


def _unsettled(folder: Path, incidents: int) -> int:
    with closing(open_state(f"sqlite:///{folder / 'state.db'}")) as state:
        sent = state.messages(state="sent", limit=10 * incidents)
    return 2 * len(LIFE) * incidents - len(sent)
