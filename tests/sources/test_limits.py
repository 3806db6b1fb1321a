"""The limits as they are documented, configured and built in are the same."""

import re
from dataclasses import asdict, fields
from pathlib import Path

from ragwatch.config.sections import LimitsConfig
from ragwatch.sources.limits import Limits

DOCUMENTED = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_defaults_are_the_same_everywhere() -> None:
    section = DOCUMENTED.read_text("utf-8").partition("[limits]")[2].partition("```")[0]
    documented = {name: float(value) for name, value in re.findall(r"^(\w+) = ([\d.]+)", section, re.MULTILINE)}
    assert documented == asdict(Limits()) == LimitsConfig().model_dump()
    assert documented.keys() == {field.name for field in fields(Limits)}
