"""A configuration file, read, and what belongs to this process."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ragwatch.config.loading import load_config
from ragwatch.config.sections import Config


@dataclass(frozen=True)
class Settings:
    """A configuration, the file it came from, and the folder that its relative paths start at."""

    config: Config
    path: Path

    @property
    def base(self) -> Path:
        return self.path.parent


def utc_now() -> datetime:
    """Return the time, aware and in UTC."""
    return datetime.now(UTC)


def load(path: Path) -> Settings:
    """Read the configuration and the environment. Raises `NotFoundError` and `ConfigError`."""
    return Settings(load_config(path, os.environ), path.absolute())


def golden_path(settings: Settings, path: Path | None = None) -> Path:
    """Return the file of golden queries: the one given, else the configured one."""
    return path or settings.base / settings.config.probe.golden
