"""The doctor's checks as text and JSON."""

from collections.abc import Sequence

from rich.console import Group, RenderableType

from ragwatch.app.doctor import Check
from ragwatch.corpus.identity import Json
from ragwatch.render.plain import Text

STYLE = {"ok": "green", "advice": "yellow", "failed": "bold red", "skipped": "yellow"}


def doctor_text(checks: Sequence[Check]) -> RenderableType:
    """Return one line a check; a failed one is followed by what to do."""
    parts: list[RenderableType] = []
    for check in checks:
        parts.append(Text.assemble((f"{check.outcome:8}", STYLE[check.outcome]), f"{check.name:10} {check.fact}"))
        if check.remedy:
            parts.append(Text(f"{'':8}{'':10} next: {check.remedy}", style="dim"))
    return Group(*parts)


def doctor_json(checks: Sequence[Check]) -> dict[str, Json]:
    """Return the checks and whether all of them passed; advice is no failure."""
    return {
        "healthy": all(check.outcome in ("ok", "advice") for check in checks),
        "checks": [
            {"name": check.name, "outcome": check.outcome, "fact": check.fact, "remedy": check.remedy}
            for check in checks
        ],
    }
