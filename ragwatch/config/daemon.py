"""The sections about unattended work: the daemon, its jobs, policy, objectives and alerts."""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ragwatch.config.base import Duration, Section, Span, Zone
from ragwatch.cron import Cron
from ragwatch.words.addresses import is_loopback

CHANNEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

SeverityName = Literal["info", "warning", "error"]


class ScheduleConfig(Section):
    """When one job runs, instead of what its file says."""

    enabled: bool = True
    cron: str | None = None
    """Five fields, weekdays by name."""
    every: Duration | None = None
    jitter: Span = timedelta()
    timezone: Zone | None = None
    """Of `cron`; the daemon's where it is not given."""
    grace: Duration | None = None
    """A run that would start later than this after its time is not made, and reported missed."""
    warn_after: Duration = timedelta(hours=1)
    """A run that takes longer is reported."""
    stop_after: Duration | None = None
    """A run that takes longer is stopped; never where it is not given."""

    @model_validator(mode="after")
    def _one(self) -> "ScheduleConfig":
        if self.cron and self.every:
            raise ValueError("give either cron or every")
        if self.cron and len(self.cron.split()) != 5:
            raise ValueError('cron has five fields: minute hour day month weekday, for example "15 2 * * mon-fri"')
        if self.cron and any(part.isdigit() for part in re.split(r"[,\-/*]", self.cron.split()[4])):
            raise ValueError("weekdays are given by name (mon-fri): their numbers mean different days elsewhere")
        return self


class DaemonConfig(Section):
    """The background process."""

    jobs: str = "jobs"
    timezone: Zone = "UTC"
    listen: str = "127.0.0.1:9464"
    """Where `/healthz`, `/readyz`, `/metrics` and the status page are served; "" for nowhere."""
    hosts: tuple[str, ...] = ()
    """Names by which these may be asked for, beside addresses, localhost and the host of `alerts.link`."""
    token_env: str | None = None
    token_file: str | None = None
    """What holds the token without which the status page and the metrics are not shown."""
    heartbeat_url_env: str | None = None
    """Variable with the URL of a dead man's switch, called while every due job succeeds."""
    heartbeat_every: Duration = timedelta(minutes=5)
    stop_within: Duration = timedelta(seconds=25)
    """How long SIGTERM waits for the work in hand before it parks it."""
    keep: Duration = timedelta(days=90)
    """How long history is kept by the job `prune_history`."""
    log: Literal["console", "json"] = "console"
    schedule: dict[str, ScheduleConfig] = Field(default_factory=dict)
    """Job → its schedule."""

    @property
    def exposure(self) -> str:
        """Return what is to be said where anybody in the network sees the pages; "" where that is not so."""
        if not self.listen or is_loopback(self.listen.rpartition(":")[0]) or self.token_env or self.token_file:
            return ""
        return (
            f"daemon.listen = {self.listen!r}: whoever reaches this address reads the status page and the metrics; "
            "set daemon.token_env, or let a firewall or a proxy decide"
        )

    @field_validator("listen")
    @classmethod
    def _place(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if value and not (colon and host and port.isdigit() and int(port) <= 65535):
            raise ValueError('must be HOST:PORT, for example "127.0.0.1:9464", or "" to serve nothing')
        return value


class PolicyConfig(Section):
    """How much scheduled jobs may repair alone; each level includes those before it."""

    level: Literal["observe", "propose", "small", "all"] = "propose"
    max_share: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Of the points of the collection, that a small repair may write or delete."""
    max_chunks: Annotated[int, Field(ge=0)] = 200
    max_cost: Annotated[float, Field(ge=0)] | None = None
    """Money, where the encoder has a price."""
    promote_after: Annotated[int, Field(ge=1)] | None = None
    """Verified repairs in a row after which "small" becomes "all"; never where it is not given."""


class ObjectiveConfig(Section):
    """How soon a change of a source must be visible in the index."""

    source: str | None = None
    """Where it is not given: every source, for the kinds of change that no objective of its own names."""
    edit: Duration | None = None
    addition: Duration | None = None
    deletion: Duration | None = None
    target: Annotated[float, Field(gt=0, lt=1)] = 0.99
    """Share of changes that must make it in time."""
    window: Duration = timedelta(days=28)

    @model_validator(mode="after")
    def _some(self) -> "ObjectiveConfig":
        if not (self.edit or self.addition or self.deletion):
            raise ValueError('give at least one of edit, addition and deletion, for example deletion = "15m"')
        return self


class RouteConfig(Section):
    """Which incidents a channel is told of."""

    sources: tuple[str, ...] = ()
    """All where none is given; incidents that are about no source go to every channel."""
    causes: tuple[str, ...] = ()
    severity: SeverityName = "warning"
    """And worse."""


class ChannelConfig(RouteConfig):
    """Where alerts go. Addresses and tokens are secrets: the file names the variable or the file that holds them."""

    name: str
    kind: Literal["slack", "slack-bot", "webhook", "alertmanager", "pagerduty"]
    url_env: str | None = None
    url_file: str | None = None
    token_env: str | None = None
    token_file: str | None = None
    """Bot token of Slack, routing key of PagerDuty, signing key of a webhook."""
    slack_channel: str | None = None
    """Where a bot posts: the id of a channel."""
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 10.0
    """For one request as a whole."""
    digest: bool = False
    """Told of everything once a day instead of at once."""

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if not CHANNEL_NAME.fullmatch(name):
            raise ValueError(
                "a channel name is made of letters, digits, '.', '_' and '-', and begins with one of the first two"
            )
        return name

    @model_validator(mode="after")
    def _complete(self) -> "ChannelConfig":
        url, token = self.url_env or self.url_file, self.token_env or self.token_file
        if self.kind in ("slack", "webhook", "alertmanager") and not url:
            raise ValueError(f'kind "{self.kind}" needs url_env or url_file: what holds its address')
        if self.kind in ("slack-bot", "pagerduty") and not token:
            raise ValueError(f'kind "{self.kind}" needs token_env or token_file: what holds its token')
        if self.kind == "slack-bot" and not self.slack_channel:
            raise ValueError('kind "slack-bot" needs slack_channel, the id of the channel it posts to')
        return self


class MaintenanceConfig(Section):
    """A time that comes back, in which nobody is told of anything that can wait until it is over."""

    cron: str
    """When it begins."""
    lasts: Duration
    timezone: Zone = "UTC"
    reason: str = ""

    @field_validator("cron")
    @classmethod
    def _readable(cls, line: str) -> str:
        Cron.parse(line)
        return line


class AlertsConfig(Section):
    """When people are told, and how often."""

    channels: tuple[ChannelConfig, ...] = ()
    confirm: Annotated[int, Field(ge=1, le=100)] = 2
    """Observations in a row that must see a problem before it is an incident."""
    confirm_causes: dict[str, Annotated[int, Field(ge=1, le=100)]] = Field(default_factory=dict)
    clear: Annotated[int, Field(ge=1, le=100)] = 1
    """Observations in a row that must not see it before it is resolved."""
    reopen_within: Span = timedelta(hours=6)
    """A problem that comes back so soon is the same incident."""
    repeat_every: Span = timedelta(hours=24)
    """An open incident is told again so often; never with 0s. Acknowledged ones are not."""
    grow_by: Annotated[float, Field(gt=1)] = 2.0
    """An incident is told again when it has grown, or shrunk, by this factor since it was last told."""
    flaps: Annotated[int, Field(ge=2)] = 3
    """After so many reopenings an incident stays open until it has been away for `reopen_within`."""
    digest_at: str = "08:00"
    digest_timezone: Zone = "UTC"
    excerpts: bool = False
    """Whether alerts may carry text of documents."""
    link: str | None = None
    """Address of the status page, for people; the daemon's own where it is not given."""
    maintenance: tuple[MaintenanceConfig, ...] = ()

    @field_validator("digest_at")
    @classmethod
    def _time(cls, value: str) -> str:
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            raise ValueError('must be a time of day, for example "08:00"')
        return value

    @model_validator(mode="after")
    def _distinct(self) -> "AlertsConfig":
        names = [channel.name for channel in self.channels]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two channels are called {twice[0]!r}; names must differ")
        return self
