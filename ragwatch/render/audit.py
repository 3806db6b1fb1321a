"""Audits and repairs of vectors as text for people."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from ragwatch.health.attribution import Cause
from ragwatch.render.plain import Text
from ragwatch.render.text import SHOWN, STATUS_STYLE, duration, number
from ragwatch.words.text import one_line

if TYPE_CHECKING:
    from ragwatch.audit import AuditReport
    from ragwatch.auditing.screen import ScreenReport
    from ragwatch.vector_repair import VectorRepair

MEANING = {
    Cause.PREPROCESSING: "The same model made them, from text prepared in another way. Search finds them less often.",
    Cause.ANOTHER_ENCODER: "Another encoder wrote them. Queries of yours do not find these chunks at all.",
    Cause.ANOTHER_TEXT: "They belong to other texts. Queries find these chunks for what they do not say.",
    Cause.DEGENERATE: "They point nowhere. No query finds these chunks.",
    Cause.UNEXPLAINED: "No encoder that read these texts gave them: noise, or a stub in place of the encoder.",
}


def percent(share: float) -> str:
    """Return a share with the digits that matter: "1.0 %", "0.03 %", "100 %". Never rounds up to a promise kept."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    digits = max(1, 1 - math.floor(math.log10(share * 100)))
    return f"{share * 100:.{digits}f} %"


def audit_text(report: AuditReport, *, verbose: bool = False) -> RenderableType:
    """Return the audit as a person reads it: verdict, the bound, the cause, the points, what to type."""
    verdict = Text.assemble(
        (str(report.status).upper(), STATUS_STYLE[report.status]), f"  collection {report.collection}"
    )
    parts: list[RenderableType] = [verdict, _bound(report), *_remarks(report)]
    if report.groups:
        parts += [Text(), _groups_table(report)]
    if report.cause and report.attestation.state != "another":
        parts += [Text(), _cause(report)]
    if report.points:
        parts += [Text(), _points_table(report, verbose=verbose)]
    parts += _next_steps(report)
    return Group(*parts)


def _bound(report: AuditReport) -> Text:
    """Say what was proved, of how much."""
    chunks = f"{report.audited:,} audited vectors" if report.audited != 1 else "1 audited vector"
    whole = f"the {report.population:,}" if report.population is not None else "the slice"
    slice_ = f" ({report.part})" if not report.part.whole else ""
    sure = f"{report.confidence:.0%}".replace("%", " %")
    if report.complete:
        return Text(f"{report.wrong:,} of {chunks} wrong; every vector{slice_} was looked at.")
    if not report.wrong:
        return Text(f"0 of {chunks} wrong: at most {percent(report.upper)} of {whole}{slice_} are ({sure}).")
    low, high = percent(report.estimate.low), percent(report.estimate.high)
    share = percent(report.estimate.share)
    return Text(
        f"{report.wrong:,} of {chunks} wrong: about {share} of {whole}{slice_}, between {low} and {high} ({sure})."
    )


def _remarks(report: AuditReport) -> list[RenderableType]:
    remarks = []
    if report.stopped:
        remarks.append(f"Stopped early: {report.stopped}.")
    if report.unknown:
        remarks.append(
            f"{number(report.unknown, 'vector')} could not be checked (no stored text, or the encoder refuses it); "
            "the bound counts them as wrong."
        )
    if report.precise:
        differ = "differs" if report.precise == 1 else "differ"
        remarks.append(f"{number(report.precise, 'vector')} {differ} by rounding alone, which search does not notice.")
    tested = report.attestation
    words = {
        "first use": "its pinned texts were encoded for the first time, for later audits to compare with",
        "same": f"gives the vectors that it gave on {tested.reference_from:%Y-%m-%d}",
        "drifted": f"has moved within the harmless range since {tested.reference_from:%Y-%m-%d}",
        "another": f"is NOT what it was on {tested.reference_from:%Y-%m-%d}",
    }
    remarks.append(f"Encoder {tested.encoder}: {words[tested.state]}. {duration(report.elapsed_s)}.")
    return [Text(remark, style="dim") for remark in remarks]


def _cause(report: AuditReport) -> RenderableType:
    assert report.cause is not None
    meaning = MEANING.get(report.cause.cause, "")
    name = str(report.cause.cause).replace("_", " ")
    named = Text.assemble(("Cause: ", "bold"), (name, "red"), f": {report.cause.detail}.")
    return Group(named, Text(meaning))


def _groups_table(report: AuditReport) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("group", overflow="fold")
    for name in ("points", "audited", "wrong", "at most"):
        table.add_column(name, justify="right")
    for group in report.groups[:SHOWN]:
        points = "?" if group.population is None else f"{group.population:,}"
        table.add_row(one_line(group.name), points, f"{group.audited:,}", f"{group.wrong:,}", percent(group.upper))
    return table


def _points_table(report: AuditReport, *, verbose: bool) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("document", overflow="fold", ratio=2)
    table.add_column("point", no_wrap=True)
    table.add_column("stored against fresh", overflow="fold", ratio=2)
    table.add_column("written", no_wrap=True)
    shown = report.points if verbose else report.points[:10]
    for point in shown:
        document = point.document.partition(":")[2] or "(not written by ragwatch)"
        table.add_row(one_line(document), point.id, point.fact, point.written_at[:16].replace("T", " "))
    if len(shown) == report.wrong:
        return table
    return Group(
        table, Text(f"… and {report.wrong - len(shown):,} more (--verbose shows more, --json too)", style="dim")
    )


def _next_steps(report: AuditReport) -> list[RenderableType]:
    if report.attestation.state == "another":
        return [
            Text(),
            Text.assemble(
                "The encoder itself has changed. ", ("ragwatch encoder check", "bold"), " shows how; bring the old one "
                "back, or move the index to the new one: ", ("ragwatch migrate plan", "bold"), ".",
            ),
        ]  # fmt: skip
    if not report.wrong:
        return []
    return [
        Text(),
        Text.assemble("Repair: ", ("ragwatch reindex --vectors", "bold"), " encodes the affected chunks anew."),
    ]


def vector_repair_text(repair: VectorRepair) -> RenderableType:
    """Return the repair of vectors as a person reads it."""
    from ragwatch.render.text import reindex_text

    if repair.repair is None and repair.unknown:
        seen = f"0 of {repair.audited:,} audited vectors are wrong, and {repair.unknown:,} could not be checked"
        return Text(f"Nothing is known to be done: {seen}.", style="bold yellow")
    if repair.repair is None:
        return Text(f"Nothing to do: 0 of {repair.audited:,} audited vectors are wrong.", style="green")
    if repair.repair.declined:
        return Text("Nothing was changed.")
    where = (
        f"{number(len(repair.cohorts), 'cohort')} of points written together, found with "
        f"{number(repair.probed, 'probed chunk')}"
        if repair.cohorts
        else "the points that the audit of all had named"
    )
    found = f"{repair.wrong:,} of {repair.audited:,} audited vectors were wrong: {where}, in "
    parts: list[RenderableType] = [
        Text(f"{found}{number(repair.documents, 'document')}."),
        reindex_text(repair.repair),
    ]
    if repair.after is not None:
        parts += [Text(), audit_text(repair.after)]
    return Group(*parts)


def screen_text(report: ScreenReport) -> RenderableType:
    """Return the screen as a person reads it: which cohorts see only themselves, and what to do about it."""
    searched = f"{number(report.searched, 'vector')} looked up among their neighbours, {duration(report.elapsed_s)}"
    if not report.isolated:
        return Text(f"No cohort has only itself for neighbours. {searched}.")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("encoder", "written"):
        table.add_column(name, no_wrap=True)
    for name in ("looked up", "surrounded", "by chance"):
        table.add_column(name, justify="right")
    for cohort in report.isolated[:SHOWN]:
        encoder, _, written = cohort.name.partition(" ")
        chance = percent(cohort.chance) if cohort.chance > 1e-6 else "0 %"
        table.add_row(encoder, written.replace("T", " "), f"{cohort.points:,}", f"{cohort.surrounded:,}", chance)
    first = report.isolated[0].name.partition(" ")[2]
    since = first if len(first) > len("2026-03") else f"{first}-01"
    return Group(
        Text.assemble((number(len(report.isolated), "cohort"), "bold red"), " with only itself for neighbours:"),
        table,
        Text(f"{searched}. Another encoder wrote such a cohort, or it is on a subject of its own.", style="dim"),
        Text.assemble("Find out: ", (f"ragwatch audit --since {since}", "bold"), " encodes a sample of it."),
    )
