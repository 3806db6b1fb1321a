"""Every kind of fault that we know, on a real Qdrant server: what is said, with which exit code, and is anything lost?

    python benchmarks/faults.py [--server 1.17.0] [--group endpoint] [--match TEXT] [--write docs/operations.md]

For each fault: a collection in order; the fault; commands while it is there; the cause mended; a repair. The exit code
is 1 if any command was green (exit 0) while the index was not what the sources say, if any document that was served
and still exists was served no more, or if the end is not as declared: the index equal to a fresh build (read and
compared by Qdrant's own client), or something still named as set aside.
"""

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fault_cases import DOCUMENTS, LABELS, POINTS, STATE, Case
from benchmarks.fault_moments import ENDPOINT, KILLS, server_cases
from benchmarks.fault_proxy import FaultProxy
from benchmarks.fault_world import Ran, World, world
from benchmarks.measure import machine
from tests.servers.qdrant import CURRENT, OLD, running_qdrant

PROGRAMS = {program.version: program for program in (CURRENT, OLD)}
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
KILLED = -9


@dataclass
class Verdict:
    """What a fault led to."""

    case: Case
    seen: list[Ran] = field(default_factory=list)
    repaired: Ran | None = None
    lost: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    """What must not be; [] where all is as it should be."""


def attempt(case: Case, place: World) -> Verdict:
    """Put one fault through."""
    verdict = Verdict(case)
    case.inject(place)
    served = place.served()
    for command in case.commands:
        ran = _run(place, command)
        verdict.seen.append(ran)
        _judge(verdict, ran, place)
        verdict.lost |= _lost(served, place)
    case.mend(place)
    verdict.repaired = _run(place, case.repair)
    verdict.lost |= _lost(served, place)
    if verdict.lost:
        verdict.wrong.append(f"served no more: {', '.join(sorted(verdict.lost))}")
    _judge(verdict, verdict.repaired, place)
    _judge_end(verdict, place)
    return verdict


def _run(place: World, command: Sequence[str]) -> Ran:
    if command[0].startswith("!kill "):
        return place.ragwatch_killed(command[0].removeprefix("!kill "))
    return place.ragwatch(*command)


def _judge(verdict: Verdict, ran: Ran, place: World) -> None:
    if "Traceback" in ran.err + ran.out and ran.code != KILLED:
        verdict.wrong.append(f"{' '.join(ran.arguments)}: traceback")
    if ran.code == 0 and ran.arguments[0] != "status":
        differing = place.faults()
        if differing:
            verdict.wrong.append(f"GREEN AND WRONG {' '.join(ran.arguments)}: {differing[:3]}")


def _judge_end(verdict: Verdict, place: World) -> None:
    repaired = verdict.repaired
    if repaired is None or repaired.code != verdict.case.ends:
        code = repaired.code if repaired else None
        verdict.wrong.append(f"ends with exit {code}, not {verdict.case.ends}: {repaired}")
        return
    stays = verdict.case.ends if verdict.case.stays is None else verdict.case.stays
    for command, code in ((("scan", "--deep"), stays), (("plan", "--check"), verdict.case.ends)):
        ran = place.ragwatch(*command)
        _judge(verdict, ran, place)
        if (ran.code == 0) != (code == 0):
            verdict.wrong.append(f"after the repair, {' '.join(command)} exits {ran.code}: {ran.sentence}")


def _lost(served: set[str], place: World) -> set[str]:
    """Documents that were served, still hold something, and are served no more."""
    files = (path for path in place.docs.rglob("*") if path.is_file() and path.stat().st_size)
    here = {str(path.relative_to(place.docs)) for path in files}
    return (served & here) - place.served()


def cases(proxy: FaultProxy, group: str, match: str) -> list[Case]:
    """All cases, or those of one group, or with a text in their name."""
    known = [*POINTS, *LABELS, *DOCUMENTS, *STATE, *KILLS, *ENDPOINT, *server_cases(proxy)]
    return [case for case in known if group in ("", case.group) and match in case.name]


def row(verdict: Verdict) -> str:
    """One line of the table."""
    seen = "<br>".join(dict.fromkeys(_seen(ran) for ran in verdict.seen))
    end = _seen(verdict.repaired) if verdict.repaired else ""
    lost = "nothing" if not verdict.lost else ", ".join(sorted(verdict.lost))
    return f"| {verdict.case.group}: {verdict.case.name} | {seen} | {end} | {lost} |"


def _seen(ran: Ran) -> str:
    said = "killed" if ran.code == KILLED else _general(ran.sentence)
    return f"`{' '.join(ran.arguments)}` {ran.code}: {said}".replace("|", "\\|")


def _general(sentence: str) -> str:
    """Leave out what differs from run to run."""
    words = [word for word in sentence.split() if not word.startswith("faults-")]
    text = " ".join(words)
    return text if len(text) <= 120 else text[:117] + "…"


def table(verdicts: Iterable[Verdict]) -> str:
    """The table of the documentation."""
    head = "| fault | what is said while it is there, with exit codes | the repair | lost |\n|---|---|---|---|"
    return "\n".join([head, *(row(verdict) for verdict in verdicts)])


def run_all(given: argparse.Namespace) -> list[Verdict]:
    """Put every chosen fault through, one after the other, on one server."""
    verdicts = []
    with (
        tempfile.TemporaryDirectory() as folder,
        running_qdrant(PROGRAMS[given.server]) as server,
        FaultProxy(server.url).running() as proxy,
    ):
        for case in cases(proxy, given.group, given.match):
            started = time.monotonic()
            verdict = _guarded(case, Path(folder), server.url)
            verdicts.append(verdict)
            mark = "ok " if not verdict.wrong else "BAD"
            sys.stderr.write(f"{mark} {time.monotonic() - started:5.1f} s  {case.group}: {case.name}\n")
            sys.stderr.writelines(f"      {problem}\n" for problem in verdict.wrong)
    return verdicts


def _guarded(case: Case, folder: Path, url: str) -> Verdict:
    """Put it through; what goes wrong with the trial itself is a verdict too."""
    try:
        with world(folder, url) as place:
            return attempt(case, place)
    except Exception:  # noqa: BLE001
        return Verdict(case, wrong=[traceback.format_exc()])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=sorted(PROGRAMS), default=CURRENT.version)
    parser.add_argument("--group", default="")
    parser.add_argument("--match", default="")
    parser.add_argument("--write", type=Path, help="a file in which the table stands between two marks")
    given = parser.parse_args()
    verdicts = run_all(given)
    bad = [verdict for verdict in verdicts if verdict.wrong]
    summary = (
        f"{len(verdicts)} faults on Qdrant {given.server}: {len(bad)} not as they should be, "
        f"{sum(bool(verdict.lost) for verdict in verdicts)} with a loss. {machine('ragwatchd', 'qdrant-client')}"
    )
    text = f"{summary}\n\n{table(verdicts)}\n"
    if given.write:
        document = given.write.read_text(encoding="utf-8")
        before, _, rest = document.partition(BEGIN)
        given.write.write_text(f"{before}{BEGIN}\n{text}{END}{rest.partition(END)[2]}", encoding="utf-8")
    else:
        print(text)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
