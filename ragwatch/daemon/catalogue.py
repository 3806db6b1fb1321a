"""From the jobs folder and the configuration to what is scheduled."""

import difflib
from collections.abc import Iterable, Sequence

from ragwatch.config.daemon import DaemonConfig, ScheduleConfig
from ragwatch.daemon.roster import Catalogue, Listed
from ragwatch.daemon.triggers import read_schedule
from ragwatch.errors import ConfigError
from ragwatch.jobs import BrokenFile


def make_catalogue(
    collection: str, daemon: DaemonConfig, jobs: Iterable[tuple[str, str, str]], broken: Sequence[BrokenFile]
) -> Catalogue:
    """Return the schedule of every job (name, trigger, summary); a job with a bad trigger is among the broken."""
    listed, faults = [], list(broken)
    names = set()
    for name, trigger, summary in jobs:
        names.add(name)
        override = daemon.schedule.get(name)
        try:
            schedule = read_schedule(collection, name, trigger, override, daemon.timezone)
        except ConfigError as error:
            faults.append(BrokenFile(name, error.fact))
            continue
        chosen = override or ScheduleConfig()
        listed.append(Listed(name, schedule, summary, warn_after=chosen.warn_after, stop_after=chosen.stop_after))
    for name in sorted(set(daemon.schedule) - names):
        near = difflib.get_close_matches(name, names, n=1)
        guess = f'; did you mean "{near[0]}"?' if near else ""
        faults.append(BrokenFile(f"daemon.schedule.{name}", f"there is no job of that name{guess}"))
    return Catalogue(tuple(sorted(listed, key=lambda job: job.name)), tuple(faults))
