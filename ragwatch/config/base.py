"""What every section of the configuration is made of."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

UNITS: Mapping[str, str] = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Section(BaseModel):
    """Base of all sections: frozen, and no key is accepted that means nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


def read_duration(value: Any) -> timedelta:
    """Read "90s", "15m", "4h", "7d" or "1w". Raises `ValueError` naming the rule."""
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a number and a unit, for example 90s, 15m, 4h, 7d or 1w")
    return timedelta(**{UNITS[match[2]]: float(match[1])})


def positive(value: timedelta) -> timedelta:
    """Return a duration that is longer than nothing. Raises `ValueError` naming the rule."""
    if value <= timedelta():
        raise ValueError("must be longer than nothing")
    return value


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError('must be a time zone of the IANA database, for example "UTC" or "Europe/Berlin"')
    return name


Span = Annotated[timedelta, BeforeValidator(read_duration)]
Duration = Annotated[timedelta, BeforeValidator(read_duration), AfterValidator(positive)]
Zone = Annotated[str, AfterValidator(_known_zone)]
