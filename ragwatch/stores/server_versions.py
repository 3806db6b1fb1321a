"""What is known of Qdrant's versions: the one table. `docs/operations.md` shows the same.

Only the versions in `TESTED` are run by the tests; of the others it is known what upstream's release notes and pull
requests say (numbers of github.com/qdrant/qdrant).
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from ragwatch.ports import ServerStanding

Version = tuple[int, int, int]

TESTED: tuple[Version, ...] = ((1, 16, 3), (1, 17, 0))
OLDEST: Version = (1, 16, 0)
"""The first version with collection metadata, on which the manifest depends."""
NEWEST_KNOWN: Version = (1, 20, 0)
"""The newest release when this table was last gone through."""
RECOMMENDED: Version = (1, 18, 3)


class Level(StrEnum):
    """What a row means for whoever runs the server."""

    REFUSED = "refused"
    FAULT = "fault"
    """May bite whatever ragwatch does: doctor, reindex, migrate and the daemon say so."""
    NOTE = "note"
    """Good to know; doctor says so."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the versions from `since` on and before `before` (None: to the newest)."""

    since: Version
    before: Version | None
    level: Level
    fact: str
    means: str
    """For what ragwatch writes and reads, and for other writers."""
    upstream: tuple[int, ...] = ()

    def covers(self, version: Version) -> bool:
        return self.since <= version and (self.before is None or version < self.before)

    def sentence(self) -> str:
        numbers = f" (upstream {', '.join(map(str, self.upstream))})" if self.upstream else ""
        mended = f", mended in {dotted(self.before)}" if self.before else ""
        return f"{self.fact}{numbers}{mended}: {self.means}"


KNOWN = (
    Known(
        (0, 0, 0),
        OLDEST,
        Level.REFUSED,
        "keeps no metadata of collections, and silently ignores parameters that it does not know",
        "nothing is sent to it",
    ),
    Known(
        (1, 16, 0),
        (1, 16, 3),
        Level.FAULT,
        "can lose changes when the disk fails for a moment, and damage what is written and deleted in quick turns",
        "what was lost is found by `ragwatch scan --deep`",
        (7801, 7805, 7741, 7702),
    ),
    Known(
        (1, 17, 0),
        (1, 17, 1),
        Level.FAULT,
        "stops at its next start, with every collection, while it reads its log after certain conditional writes",
        "no write of ragwatch is conditional, and the tests restart it after each kind; other programs' writes may be",
        (8455, 8460),
    ),
    Known(
        OLDEST,
        (1, 18, 1),
        Level.NOTE,
        "takes vectors of a wrong dimension into its log before it refuses them, where the write is not waited for",
        "ragwatch checks the dimension first, and waits",
        (9058,),
    ),
    Known(
        OLDEST,
        (1, 18, 2),
        Level.NOTE,
        "loads at a restart what an interrupted optimisation left behind",
        "`ragwatch scan --deep` after a restart shows whether the points are the same",
        (9217,),
    ),
    Known(
        OLDEST,
        (1, 19, 0),
        Level.NOTE,
        "evaluates conditional and filtered writes again when it replays its log, so that what they deleted can return",
        "no write of ragwatch is evaluated by the server; what returns of other programs' points, a scan names "
        "(mended in 1.19.0, judging by dates)",
        (9575, 9678),
    ),
    Known(
        (1, 19, 0),
        None,
        Level.NOTE,
        "can keep a rounded copy alone of a collection's vectors (TurboQuant)",
        "ragwatch writes into no such collection, and an audit allows for the rounding",
    ),
)


def dotted(version: Version) -> str:
    return ".".join(str(number) for number in version)


def parsed(text: str) -> Version | None:
    """Return the numbers of a version's text, None where it has none."""
    match = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def known_of(version: Version) -> list[Known]:
    """Return the rows that a version is in."""
    return [row for row in KNOWN if row.covers(version)]


def standing_of(text: str) -> ServerStanding:
    """Say what is known of a version as the server names it; "" where it named none."""
    version = parsed(text)
    if version is None:
        why = f"the server calls its version {text!r}" if text else "the server does not say its version"
        return ServerStanding(text, (f"{why}: what is known of versions cannot be looked up",))
    rows = known_of(version)
    faults = [row for row in rows if row.level is not Level.NOTE]
    facts = (*_how_known(version), *(row.sentence() for row in (*faults, *(row for row in rows if row not in faults))))
    return ServerStanding(text, facts, tuple(row.sentence() for row in faults), _advice(version) if faults else "")


def _how_known(version: Version) -> tuple[str, ...]:
    if version in TESTED:
        return ()
    if version > NEWEST_KNOWN:
        return (f"newer than any that this ragwatch knows of (up to {dotted(NEWEST_KNOWN)})",)
    what = "newer than any that the tests run on" if version > max(TESTED) else "none that the tests run on"
    return (f"{what} ({', '.join(map(dotted, TESTED))}), judged by its release notes",)


def _advice(version: Version) -> str:
    """Name the next release without a fault of the same line, and the recommended one."""
    line = [row.before for row in known_of(version) if row.level is Level.FAULT and row.before is not None]
    same = [before for before in line if before[:2] == version[:2]]
    first = f"upgrade the server to {dotted(max(same))} or newer" if same else "upgrade the server"
    return f"{first}, one minor version at a time; {dotted(RECOMMENDED)} is recommended"
