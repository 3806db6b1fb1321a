"""Reports as text for people. Pure: values in, Rich renderables out; the caller prints them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from rich.console import Group, RenderableType
from rich.table import Table

from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Finding, Severity, Status, counts, set_aside_words
from ragwatch.index.balance import DocumentState, PointKind
from ragwatch.render.plain import Text
from ragwatch.words.text import one_line

if TYPE_CHECKING:
    from ragwatch.estimate import Estimate
    from ragwatch.index.balance import Balance
    from ragwatch.index.guards import Breach
    from ragwatch.index.plan import Plan
    from ragwatch.ports import RunRecord
    from ragwatch.reindex import ReindexReport
    from ragwatch.scan import ScanReport

K = TypeVar("K", bound=StrEnum)

STYLE = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "dim"}
STATUS_STYLE = {Status.HEALTHY: "bold green", Status.DEGRADED: "bold red", Status.UNKNOWN: "bold yellow"}
SHOWN = 20


def number(value: int, noun: str) -> str:
    """Return "1 chunk", "2 chunks", "12,345 chunks"."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def duration(seconds: float) -> str:
    """Return seconds in the unit that a person would use."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def ago(then: datetime, now: datetime) -> str:
    """Return how long ago something was, coarsely."""
    age = max(now - then, timedelta())
    return "just now" if age < timedelta(seconds=60) else f"{duration(age.total_seconds())} ago"


def scan_text(report: ScanReport, *, verbose: bool = False) -> RenderableType:
    """Return the scan as a person reads it: verdict, what was compared, findings by kind, what to type."""
    verdict = Text.assemble(
        (str(report.status).upper(), STATUS_STYLE[report.status]),
        f"  collection {report.collection}",
        *_left_out(report.set_aside),
    )
    compared = Text(
        f"{number(report.documents, 'document')}, {number(report.chunks, 'chunk')} in the sources; "
        f"{number(report.points, 'point')} in the index; {report.mode} scan, {duration(report.elapsed_s)}",
        style="dim",
    )
    parts: list[RenderableType] = [verdict, compared, *balance_text(report.balance)]
    parts += [Text(f"INCOMPLETE  {reason}", style="bold yellow") for reason in report.incomplete]
    if report.findings:
        parts += [Text(), _findings_table(report.findings, verbose=verbose), Text(), *_next_steps(report)]
    if report.mode == "fast":
        parts.append(
            Text(
                "Counts and revisions were compared; `ragwatch scan --deep` reads every chunk and vector.", style="dim"
            )
        )
    return Group(*parts)


def balance_text(balance: Balance) -> list[RenderableType]:
    """Return both sums as equations, with the level that points were explained at; parts of nothing are left out."""
    points, documents = balance.points, balance.documents
    moved = f", {points.before:,} when the comparison began" if points.moved else ""
    return [
        Text(f"points {_equation(points.after, points.parts, PointKind)} ({balance.level.words}{moved})", style="dim"),
        Text(f"documents {_equation(documents.listed, documents.parts, DocumentState)}", style="dim"),
    ]


def _equation(total: int, parts: Mapping[K, int], kinds: Iterable[K]) -> str:
    shown = [f"{parts[kind]:,} {kind}" for kind in kinds if parts.get(kind)]
    sign = "=" if sum(parts.values()) == total else "≠"
    return f"{total:,} {sign} {' + '.join(shown) or '0'}"


def _findings_table(findings: Sequence[Finding], *, verbose: bool) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("finding", no_wrap=True)
    table.add_column("subject", overflow="fold", ratio=2)
    table.add_column("evidence", overflow="fold", ratio=3)
    shown = findings if verbose else _per_kind(findings)
    for finding in shown:
        table.add_row(
            Text(str(finding.kind), style=STYLE[finding.severity]), one_line(finding.subject), one_line(finding.reason)
        )
    summary = ", ".join(f"{count:,} {kind}" for kind, count in counts(findings).items())
    parts: list[RenderableType] = [Text(f"{number(len(findings), 'finding')}: {summary}"), table]
    if len(shown) < len(findings):
        parts.append(Text(f"… and {len(findings) - len(shown):,} more (--verbose shows all, --json too)", style="dim"))
    return Group(*parts)


def _per_kind(findings: Sequence[Finding]) -> list[Finding]:
    """Choose what fits a screen: a few of each kind, so that no kind is hidden behind another."""
    kinds = {finding.kind for finding in findings}
    each = max(2, SHOWN // len(kinds))
    taken: dict[str, int] = {}
    chosen = []
    for finding in findings:
        taken[finding.kind] = taken.get(finding.kind, 0) + 1
        if taken[finding.kind] <= each:
            chosen.append(finding)
    return chosen


def _next_steps(report: ScanReport) -> Iterable[RenderableType]:
    remedies = {finding.kind: finding.remedy for finding in reversed(report.findings)}
    for kind, remedy in sorted(remedies.items()):
        if not remedy.startswith("ragwatch reindex"):
            yield Text.assemble((f"{kind}: ", "dim"), remedy)
    if report.conflicts:
        yield Text("A repair is refused: " + "; ".join(report.conflicts), style="red")
    elif not report.plan.empty:
        yield Text.assemble(
            "Repair: ", ("ragwatch plan", "bold"), " shows what it costs, ", ("ragwatch reindex", "bold"), " does it."
        )


def _left_out(set_aside: Mapping[str, int]) -> Iterable[tuple[str, str]]:
    """Return what is said of documents that are set aside in the sentence that a verdict stands in."""
    if words := set_aside_words(set_aside):
        yield f"; {words}", "bold yellow"


def nothing_text(set_aside: Mapping[str, int], others: int = 0) -> RenderableType:
    """Return that there is nothing to do, and what the index lacks all the same; `others` is what was not chosen."""
    if others:
        beside = f"Nothing to do for what was chosen; beside it {others:,} documents or points differ: ragwatch plan"
        return Text.assemble(beside, *_left_out(set_aside), style="bold yellow")
    if not set_aside:
        return Text("Nothing to do: the index holds exactly what the sources say.", style="green")
    words = set_aside_words(set_aside)
    more = "; `ragwatch scan` says why" + (
        "; ragwatch reindex --retry tries again at once" * ("quarantined" in set_aside)
    )
    return Text(f"Nothing to do for the moment, but the index is not whole: {words}{more}.", style="bold yellow")


def plan_text(
    plan: Plan,
    estimate: Estimate,
    found: Sequence[Breach],
    set_aside: Mapping[str, int] = MappingProxyType({}),
    others: int = 0,
) -> RenderableType:
    """Return the plan as a person reads it: cost first, then the documents, then what would refuse it."""
    if plan.empty:
        return nothing_text(set_aside, others)
    totals = plan.totals
    cost = Table(box=None, pad_edge=False, show_header=False)
    cost.add_row(
        "encode",
        f"{number(totals.encode_chunks, 'chunk')}, {number(totals.encode_tokens, 'token')}{estimate_text(estimate)}",
    )
    cost.add_row(
        "write", f"{number(totals.write, 'point')}, {totals.reuse:,} of them with a vector that the index already has"
    )
    cost.add_row("relabel", f"{number(totals.relabel, 'point')} (payload only)")
    cost.add_row("delete", f"{number(totals.delete, 'point')}, each after its replacement is in place")
    parts: list[RenderableType] = [
        Text.assemble(
            (f"Plan {plan.digest[:12]}", "bold"),
            f"  {number(totals.documents, 'document')} of collection {plan.collection}",
            *_left_out(set_aside),
        ),
        *([Text("The collection is created first.")] if plan.create else []),
        cost,
        Text(),
        _changes_table(plan),
    ]
    if plan.malformed:
        parts.append(Text(f"{number(len(plan.malformed), 'malformed point')} that no document claims: deleted"))
    parts += [Text(f"REFUSED  {breach.guard}: {breach.fact}", style="bold red") for breach in found]
    return Group(*parts)


def estimate_text(estimate: Estimate) -> str:
    """Return time and money in words, or nothing where neither is known."""
    time = f", about {duration(estimate.seconds)}" if estimate.seconds is not None else ""
    money = f", {estimate.price:,.4f} {estimate.currency}" if estimate.price is not None else ""
    return f"{time}{money}"


def _changes_table(plan: Plan) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("document", overflow="fold", ratio=2)
    for name in ("encode", "write", "relabel", "delete"):
        table.add_column(name, justify="right")
    table.add_column("why", overflow="fold", ratio=3)
    for change in plan.changes[:SHOWN]:
        numbers = (len(change.encode), change.write, change.relabel, len(change.delete))
        table.add_row(one_line(change.id), *(str(n) if n else "·" for n in numbers), one_line(change.reason))
    if len(plan.changes) <= SHOWN:
        return table
    return Group(table, Text(f"… and {len(plan.changes) - SHOWN:,} more documents (--json shows all)", style="dim"))


def reindex_text(report: ReindexReport) -> RenderableType:
    """Return the repair as a person reads it."""
    if report.declined:
        return Text("Nothing was changed.")
    if report.plan.empty and report.reconciled:
        return nothing_text(report.set_aside, report.others)
    done = report.applied
    parts: list[RenderableType] = [
        Text(
            f"Encoded {number(done.encoded_chunks, 'chunk')} ({number(done.encoded_tokens, 'token')}), "
            f"wrote {number(done.upserted, 'point')} ({done.reused_vectors:,} with a reused vector), "
            f"relabelled {done.payload_updates:,}, deleted {done.deleted:,}; {duration(report.elapsed_s)}"
        )
    ]
    parts += _other_writers(report)
    parts += [
        Text(f"{'partial' if key in done.partial else 'quarantined'}  {key}: {why}", style="yellow")
        for key, why in sorted(done.quarantined.items())
    ]
    if report.reconciled and report.set_aside:
        parts.append(
            Text.assemble(
                ("NOT WHOLE", "bold yellow"),
                f"  {set_aside_words(report.set_aside)}; everything else is in the index as the source has it",
            )
        )
    elif report.verified:
        parts.append(
            Text.assemble(
                ("VERIFIED", "bold green"), "  every document of the plan is in the index as the source has it"
            )
        )
    else:
        again = "run `ragwatch reindex` again for what is left:"
        parts.append(Text.assemble(("NOT VERIFIED", "bold red"), *_left_out(report.set_aside), f"  {again}"))
        parts += [Text(f"  {one_line(line)}") for line in report.remaining[:SHOWN]]
    if report.balance:
        parts += balance_text(report.balance)
    return Group(*parts)


def _other_writers(report: ReindexReport) -> Iterator[Text]:
    """Yield what was met of another writer's work."""
    if report.restored:
        documents, again = number(len(report.restored.documents), "document"), report.restored.applied
        yield Text(
            f"restored     {documents} changed by another writer meanwhile: {number(again.upserted, 'point')} written, "
            f"{again.payload_updates:,} relabelled once more",
            style="yellow",
        )
    if report.applied.kept:
        kept = number(len(report.applied.kept), "point")
        yield Text(f"kept         {kept} that another writer had changed since the plan was made", style="yellow")


def run_line(run: RunRecord | None, now: datetime) -> str:
    """Return how old a run is, how it ended, and what it found."""
    if run is None:
        return "never"
    details = _what_was_found(run.summary)
    verified = (
        {True: "verified", False: "not verified"}.get(run.summary.get("verified") is True)
        if "verified" in run.summary
        else ""
    )
    extra = "; ".join(part for part in (details, verified or "") if part)
    return one_line(f"{ago(run.started, now)}, {outcome_text(run)}" + (f": {extra}" if extra else ""))


def outcome_text(run: RunRecord) -> str:
    """Return how a run ended, as a person reads it."""
    return run.outcome.replace("_", " ")


def history_text(runs: Sequence[RunRecord], now: datetime) -> RenderableType:
    """Return the runs, newest first."""
    if not runs:
        return Text("No runs yet. Begin with: ragwatch scan")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("started", "verb", "collection", "outcome", "what"):
        table.add_column(name, overflow="fold")
    for run in runs:
        row = (ago(run.started, now), run.verb, run.collection, outcome_text(run), _what(run.summary))
        table.add_row(*map(one_line, row))
    return table


def _what(summary: Mapping[str, Json]) -> str:
    if "error" in summary:
        return f"{summary.get('step', '')} {_error(summary)}".strip()
    if "configured" in summary:
        return f"{summary.get('decision')}, level {summary.get('level')}"
    if "step" in summary:
        return f"{summary['step']}: {summary.get('phase', 'under way')}"
    if "encoded_chunks" in summary:
        return (
            f"encoded {summary['encoded_chunks']}, wrote {summary['upserted']}, deleted {summary['deleted']}, "
            f"{'verified' if summary.get('verified') else 'not verified'}"
        )
    shown = _what_was_found(summary)
    return f"{summary.get('status', '')}{': ' + shown if shown else ''}"


def _error(summary: Mapping[str, Json]) -> str:
    error = summary["error"]
    return str(error.get("fact", "")) if isinstance(error, Mapping) else str(error)


def _what_was_found(summary: Mapping[str, Json]) -> str:
    if "error" in summary:
        return _error(summary)
    if "decision" in summary and "measures" in summary:
        decision = str(summary["decision"] or "not compared, there is no baseline").replace("_", " ")
        return f"not measured: {summary['not_measured']}" if summary.get("not_measured") else decision
    if summary.get("not_measured"):
        return f"not measured: {summary['not_measured']}"
    if "audited" in summary:
        return f"{summary.get('wrong')} of {summary['audited']} vectors wrong"
    found = summary.get("counts")
    return ", ".join(f"{count} {kind}" for kind, count in found.items()) if isinstance(found, dict) else ""


def forgotten_text(forgotten: Mapping[str, int]) -> RenderableType:
    """Return what was forgotten, by table."""
    gone = ", ".join(f"{count:,} {name}" for name, count in forgotten.items() if count)
    return Text(f"Forgot {gone}." if gone else "Nothing is old enough to be forgotten.")
