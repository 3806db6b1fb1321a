"""Probes, verdicts and baselines as text for people, and as JSON where a value has none of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from ragwatch.health.verdict import Decision, Verdict
from ragwatch.render.audit import percent
from ragwatch.render.plain import Text
from ragwatch.render.text import SHOWN, duration, number
from ragwatch.words.text import one_line

if TYPE_CHECKING:
    from ragwatch.corpus.identity import Json
    from ragwatch.health.power import Power
    from ragwatch.probe import ProbeReport
    from ragwatch.probing.judge import JudgedProbe
    from ragwatch.probing.runs import ProbeRun

HEALTHY = 0.9
"""Self-retrieval and ANN recall below which the line is coloured."""
STYLE = {
    Decision.IMPROVED: "bold green",
    Decision.SAME: "bold green",
    Decision.WORSE: "bold red",
    Decision.INCONCLUSIVE: "bold yellow",
    Decision.NOT_COMPARABLE: "bold yellow",
}


def probe_text(report: ProbeReport, *, verbose: bool = False) -> RenderableType:
    """Return the probe as a person reads it: verdict, measures with intervals, lost queries and why."""
    run = report.run
    parts: list[RenderableType] = []
    if report.verdict is None:
        head = "NOT MEASURED" if report.not_measured else "NO BASELINE"
        parts.append(Text.assemble((head, "bold yellow"), f"  collection {run.collection}"))
        parts += [Text(f"  {report.not_measured}")] if report.not_measured else []
    else:
        decision = str(report.verdict.decision).replace("_", " ").upper()
        parts.append(Text.assemble((decision, STYLE[report.verdict.decision]), f"  collection {run.collection}"))
        parts += [Text(f"  {reason}") for reason in report.verdict.reasons]
    parts += [Text(_asked(report), style="dim"), Text(), _measures_table(report)]
    if report.losses:
        parts += [Text(), _losses_table(report, verbose=verbose)]
    parts += _remarks(report)
    if report.verdict is None and not report.not_measured:
        parts += [Text(), Text.assemble("Accept it as the baseline: ", ("ragwatch baseline set", "bold"))]
    return Group(*parts)


def _asked(report: ProbeReport) -> str:
    run = report.run
    scored = [one for one in run.results if one.outcome.scored and one.unit]
    documents = len({one.unit for one in scored})
    failed = [one for one in run.results if not one.outcome.scored]
    told = f"{number(len(scored), 'golden query').replace('querys', 'queries')} about {number(documents, 'document')}"
    against = f", against run {report.against}" if report.against else ""
    return f"{told}, {len(failed)} not scored{against}; {duration(report.elapsed_s)}"


def _measures_table(report: ProbeReport) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("measure", no_wrap=True)
    for name in ("now", "95 % interval", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    several = any(one.passages > 1 for one in report.run.results)
    for name, mean in report.run.measures().items():
        # With one passage a query recall@k is hit@k.
        if name.startswith("recall@") and not several:
            continue
        value = "unknown" if mean.value is None else f"{mean.value:.3f}"
        table.add_row(name, value, f"{mean.low:.2f} to {mean.high:.2f}", str(mean.units))
    if report.similarity is not None:
        mean = report.similarity.mean
        value = "unknown" if mean.value is None else f"{mean.value:.3f}"
        table.add_row("similarity", value, f"{mean.low:.2f} to {mean.high:.2f}", str(mean.units), style="dim")
    if report.verdict is None or not report.verdict.changes:
        return table
    return Group(table, Text(), _changes_table(report.verdict))


def _changes_table(verdict: Verdict) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("measure", "against"):
        table.add_column(name, no_wrap=True)
    for name in ("before", "now", "change", "95 % interval", "p worse"):
        table.add_column(name, justify="right", no_wrap=True)
    for change in verdict.changes:
        table.add_row(
            change.measure,
            change.against,
            f"{change.before:.3f}",
            f"{change.after:.3f}",
            f"{change.difference:+.3f}",
            f"{change.low:+.2f} to {change.high:+.2f}",
            f"{change.p_worse:.2g}",
            style="red" if change.worse else "",
        )
    return table


def _losses_table(report: ProbeReport, *, verbose: bool) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("lost query", overflow="fold", ratio=2)
    table.add_column("cause", no_wrap=True)
    table.add_column("evidence", overflow="fold", ratio=3)
    shown: Sequence[object] = report.losses if verbose else report.losses[:SHOWN]
    for loss in report.losses[: len(shown)]:
        table.add_row(one_line(loss.id), loss.cause.replace("_", " "), one_line(loss.fact))
    if len(shown) == len(report.losses):
        return table
    return Group(table, Text(f"… and {len(report.losses) - len(shown):,} more (--verbose shows all)", style="dim"))


def _remarks(report: ProbeReport) -> list[RenderableType]:
    remarks: list[RenderableType] = []
    forbidden = [one.id for one in report.run.results if one.forbidden]
    if forbidden:
        named = ", ".join(forbidden[:SHOWN])
        remarks.append(Text(f"A forbidden text was retrieved by: {named}", style="red"))
    gone = [one.id for one in report.run.results if str(one.outcome) == "evidence_gone"]
    if gone:
        named = ", ".join(gone[:5]) + (", …" if len(gone) > 5 else "")
        remarks.append(
            Text(f"{len(gone)} taken out, their evidence has left the corpus ({named}): ragwatch golden review")
        )
    if report.passages_gone:
        lost = sum(len(one) for one in report.passages_gone.values())
        named = ", ".join([*report.passages_gone][:5]) + (", …" if len(report.passages_gone) > 5 else "")
        told = f"{number(lost, 'further passage')} left the corpus, their queries have others ({named})"
        remarks.append(Text(f"{told}: ragwatch golden review"))
    changed = report.verdict.evidence_changed if report.verdict else ()
    if changed:
        named = ", ".join(changed[:5]) + (", …" if len(changed) > 5 else "")
        remarks.append(
            Text(f"{len(changed)} not compared, they have other passages than in the accepted run ({named})")
        )
    errors: dict[str, int] = {}
    for one in report.run.results:
        if str(one.outcome) in ("backend_error", "judge_error", "not_run"):
            errors[one.reason] = errors.get(one.reason, 0) + 1
    remarks += [Text(f"{count} failed: {reason}", style="yellow") for reason, count in errors.items()]
    if report.overlap and (report.overlap.came or report.overlap.left):
        moved = report.overlap.came + report.overlap.left
        remarks.append(
            Text(
                f"Result lists overlap {percent(report.overlap.mean)} with the accepted run; "
                f"{report.overlap.explained} of {moved} changes come from rewritten or deleted chunks.",
                style="dim",
            )
        )
    if report.similarity is not None and (report.similarity.unscored or report.similarity.reason):
        why = report.similarity.reason or "the encoder refuses their texts"
        remarks.append(Text(f"{report.similarity.unscored} without a similarity: {why}", style="yellow"))
    if report.index is not None:
        found = report.index
        remarks.append(
            Text(
                f"Of {found.sampled} stored vectors {percent(found.self_retrieval)} find themselves; approximate "
                f"search finds {percent(found.ann_recall)} of what exact search finds; hubness {found.hubness:.1f}.",
                style="dim" if found.self_retrieval > HEALTHY and found.ann_recall > HEALTHY else "yellow",
            )
        )
    if report.verdict is not None:
        seen = report.verdict.smallest
        told = f"a drop of {percent(seen)} in hit@{report.run.k}" if seen < 1 else "no drop, however large"
        remarks.append(Text(f"This set sees {told} at once with 80 % power (ragwatch probe --power).", style="dim"))
    return remarks


def verdict_text(verdict: Verdict, k: int) -> RenderableType:
    """Return a comparison of two runs as a person reads it."""
    decision = str(verdict.decision).replace("_", " ").upper()
    parts: list[RenderableType] = [Text(decision, style=STYLE[verdict.decision])]
    parts += [Text(f"  {reason}") for reason in verdict.reasons]
    if verdict.changes:
        parts += [Text(), _changes_table(verdict)]
    for name, ids in (("lost", verdict.lost), ("won", verdict.won), ("fell", verdict.fell), ("rose", verdict.rose)):
        if ids:
            more = f", and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
            parts.append(Text(f"{name} (hit@{k}): {', '.join(ids[:SHOWN])}{more}"))
    return Group(*parts)


def power_text(power: Power) -> RenderableType:
    """Return what a set of golden queries can see."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("fall in hit@k", no_wrap=True)
    table.add_column("chance that it is called worse", justify="right")
    for drop, chance in power.steps.items():
        table.add_row(f"{drop:.0%} at once".replace("%", " %"), f"{chance:.0%}".replace("%", " %"))
    for drop, chance in power.leaks.items():
        table.add_row(f"{percent(drop)} a week, 12 weeks", f"{chance:.0%}".replace("%", " %"))
    seen = f"a fall of {percent(power.smallest)} at once" if power.smallest < 1 else "no fall at once"
    return Group(
        Text(f"{power.queries} golden queries about {power.units} documents see {seen} in 80 of 100 cases."),
        table,
        Text(f"False alarms in 12 weeks in which nothing went wrong: at most {percent(power.false_alarms)}."),
        *([] if power.units >= 100 else [Text("More documents see more: ragwatch golden generate", style="dim")]),
    )


def baseline_text(frozen: ProbeRun, accepted: ProbeRun) -> RenderableType:
    """Return which runs later ones are compared with."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "run", "started"):
        table.add_column(name, no_wrap=True)
    measures = list(frozen.measures())[:2]
    for name in measures:
        table.add_column(name, justify="right")
    for what, run in (("baseline", frozen), ("accepted", accepted)):
        means = [run.measures()[name].value if name in run.measures() else None for name in measures]
        shown = ["unknown" if mean is None else f"{mean:.3f}" for mean in means]
        table.add_row(what, run.id, run.started[:16].replace("T", " "), *shown)
    return table


def baseline_json(frozen: ProbeRun, accepted: ProbeRun) -> dict[str, Json]:
    """Return the same as JSON."""
    return {
        name: {
            "run": run.id,
            "started": run.started,
            "measures": {key: mean.to_json() for key, mean in run.measures().items()},
        }
        for name, run in (("frozen", frozen), ("accepted", accepted))
    }


def judged_text(report: JudgedProbe) -> RenderableType:
    """Return a judged probe as a person reads it: every mean with how many it is of, and how noisy the judge is."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("measure", no_wrap=True)
    for name in ("mean", "scored", "not scored", "judge's own noise"):
        table.add_column(name, justify="right")
    for name, (mean, scored) in report.free_means().items():
        total = sum(one.metric == name for one in report.free)
        table.add_row(name, "unknown" if mean is None else f"{mean:.3f}", str(scored), str(total - scored), "none")
    for noise in report.judged.noise:
        ours = [one for one in report.judged.judged if one.metric == noise.metric]
        scored = sum(one.value is not None for one in ours)
        mean = report.judged.mean(noise.metric)
        band = "unknown" if noise.band is None else f"± {noise.band:.3f}"
        shown = "unknown" if mean is None else f"{mean:.3f}"
        table.add_row(noise.metric, shown, str(scored), str(len(ours) - scored), band)
    reasons: dict[str, int] = {}
    for one in (*report.free, *report.judged.judged):
        if one.value is None:
            reasons[str(one.reason)] = reasons.get(str(one.reason), 0) + 1
    usage = report.judged.usage
    cost = f", {usage.cost:,.4f} {usage.currency}" if usage.cost is not None else ""
    spent = f"{usage.requests:,} requests, {usage.cached:,} from the cache, {usage.tokens:,} tokens{cost}"
    parts: list[RenderableType] = [
        Text(f"{report.asked:,} golden queries judged, {duration(report.elapsed_s)}; {spent}"),
        Text(),
        table,
    ]
    parts += [
        Text(f"not scored: {count} × {reason.replace('_', ' ')}", style="yellow") for reason, count in reasons.items()
    ]
    parts += [Text(f"not retrieved: {id}: {why}", style="yellow") for id, why in report.failed.items()]
    if report.gone:
        parts.append(Text(f"{len(report.gone)} not asked, their evidence has left the corpus: ragwatch golden review"))
    if report.not_measured:
        parts.append(Text(f"NOT MEASURED  {report.not_measured}", style="bold yellow"))
    if str(report.judged.stopped):
        parts.append(Text(f"Stopped early: {report.judged.detail or report.judged.stopped}", style="bold yellow"))
    parts.append(Text("A judge annotates and decides nothing; it cannot see that a chunk is stale.", style="dim"))
    return Group(*parts)
