"""What a watch has seen already, as it is kept in the state: one note for each collection."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Kind
from ragwatch.health.incidents import Observation
from ragwatch.health.looks import Look
from ragwatch.health.run_failures import failed
from ragwatch.health.standing import LastLook
from ragwatch.ports import RunRecord

WATCH = "watch"
"""Kind of the notes that hold what a watch has seen; their key is the collection."""
STATUS = "status"
"""Kind of the notes that hold the status of a collection, since when, and why."""
CHANNEL = "channel"
"""Kind of the notes about channels, "COLLECTION/NAME"; the delivery writes them."""
JOB_FILE = "job_file"
"""Kind of the notes about job files that cannot be loaded, "COLLECTION/FILE"; the daemon writes them."""

COMPARISONS = ("scan", "reindex")
SWITCHES = ("cutover", "rollback")


@dataclass
class Seen:
    """The runs that were looked at, and what is remembered of them."""

    mark: datetime | None = None
    """When the newest of them finished."""
    runs: dict[str, datetime] = field(default_factory=dict)
    """Id → when it finished, of those that may turn up once more."""
    swept: datetime | None = None
    """When late ones were last looked for."""
    compared: datetime | None = None
    """When the newest complete comparison of source and index finished."""
    blind: tuple[str, ...] = ()
    """Sources that the newest comparison could not list."""
    newest: dict[str, datetime] = field(default_factory=dict)
    """Check → the time of its newest observation. An older one that turns up late says nothing."""
    looks: dict[str, LastLook] = field(default_factory=dict)
    digests: dict[str, datetime] = field(default_factory=dict)
    """Channel → the due time of its newest digest."""

    def copy(self) -> "Seen":
        return replace(
            self,
            runs=dict(self.runs),
            newest=dict(self.newest),
            looks=dict(self.looks),
            digests=dict(self.digests),
        )

    def newer(self, observation: Observation) -> bool:
        """Say whether an observation is not older than the last one of its check, and remember it."""
        labels = "".join(f" {name}={value}" for name, value in sorted(observation.only))
        name = f"{observation.check}{labels}"
        if observation.at < self.newest.get(name, observation.at):
            return False
        self.newest[name] = observation.at
        return True

    def add(self, run: RunRecord, look: Look) -> None:
        """Remember a run."""
        self.runs[run.id] = look.at
        self.mark = max(self.mark or look.at, look.at)
        if run.verb == "migrate" and run.summary.get("step") in SWITCHES and run.outcome in ("done", "incomplete"):
            # What was said of the collection that is out of service says nothing of the one that is in.
            self.looks.clear()
        if (failed(look) or run.outcome in ("done", "incomplete")) and not look.lost:
            self._look(look)

    def _look(self, look: Look) -> None:
        compares = look.verb in COMPARISONS
        if failed(look) or (look.outcome == "incomplete" and look.verb != "audit"):
            if look.verb != "reindex":
                self._set(look, concluded=False)
        else:
            self._set(look, concluded=True)
            if compares:
                self.compared = max(self.compared or look.at, look.at)
        if compares and not failed(look):
            lost = {one.source or "" for one in look.findings if one.kind is Kind.SOURCE_INCOMPLETE}
            self.blind = tuple(sorted(lost))

    def _set(self, look: Look, *, concluded: bool) -> None:
        for check in {look.check, "scan"} if look.verb in COMPARISONS else {look.verb}:
            known = self.looks.get(check, LastLook())
            moment = max(known.concluded or look.at, look.at) if concluded else max(known.failed or look.at, look.at)
            name = "concluded" if concluded else "failed"
            self.looks[check] = replace(known, **{name: moment})

    def forget_before(self, age: timedelta) -> None:
        """Forget the runs that finished so long before the newest one that they cannot turn up any more."""
        if self.mark is not None:
            oldest = self.mark - age
            self.runs = {run: at for run, at in self.runs.items() if at >= oldest}

    def to_json(self) -> dict[str, Json]:
        return {
            "mark": _iso(self.mark),
            "runs": {run: at.isoformat() for run, at in self.runs.items()},
            "swept": _iso(self.swept),
            "compared": _iso(self.compared),
            "blind": list(self.blind),
            "newest": {check: at.isoformat() for check, at in self.newest.items()},
            "looks": {
                check: {"concluded": _iso(look.concluded), "failed": _iso(look.failed)}
                for check, look in self.looks.items()
            },
            "digests": {channel: at.isoformat() for channel, at in self.digests.items()},
        }

    @classmethod
    def read(cls, value: Mapping[str, Json]) -> "Seen":
        """Read a note; what is missing in it was never seen."""
        blind = value.get("blind")
        looks = {
            check: LastLook(_time(_object(look).get("concluded")), _time(_object(look).get("failed")))
            for check, look in _object(value.get("looks")).items()
        }
        return cls(
            mark=_time(value.get("mark")),
            runs=_times(value.get("runs")),
            swept=_time(value.get("swept")),
            compared=_time(value.get("compared")),
            blind=tuple(str(one) for one in blind) if isinstance(blind, list) else (),
            newest=_times(value.get("newest")),
            looks=looks,
            digests=_times(value.get("digests")),
        )


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _time(value: Json) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def _times(value: Json) -> dict[str, datetime]:
    return {name: datetime.fromisoformat(str(at)) for name, at in _object(value).items()}


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}
