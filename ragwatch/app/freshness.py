"""Freshness, wired from a configuration."""

from dataclasses import dataclass
from datetime import datetime

from ragwatch.config.daemon import ObjectiveConfig
from ragwatch.config.sections import Config
from ragwatch.health.objectives import Freshness, Objective
from ragwatch.ports.incidents import Change

KINDS: tuple[Change, ...] = ("edit", "addition", "deletion")


@dataclass(frozen=True)
class FreshnessReport:
    """The numbers of every source and kind of change."""

    collection: str
    now: datetime
    numbers: tuple[Freshness, ...]


def objectives_of(config: Config) -> tuple[Objective, ...]:
    """Return the objective of every source and kind of change that has one.

    One that names no source holds for every source, except for the kinds that an objective of the source's own names.
    """
    found = []
    for source in config.sources:
        for change in KINDS:
            section = _section(config.objectives, source.name, change)
            within = getattr(section, change) if section else None
            if section is not None and within is not None:
                window = section.window.total_seconds()
                found.append(Objective(source.name, change, within.total_seconds(), section.target, window))
    return tuple(found)


def _section(sections: tuple[ObjectiveConfig, ...], source: str, change: Change) -> ObjectiveConfig | None:
    named = [section for section in sections if getattr(section, change) is not None]
    own = [section for section in named if section.source == source]
    return next(iter(own or [section for section in named if section.source is None]), None)
