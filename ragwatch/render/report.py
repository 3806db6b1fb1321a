"""A report as one HTML file: no script, nothing from elsewhere, every name escaped and kept apart. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ragwatch import __version__
from ragwatch.health.findings import Severity, Status
from ragwatch.health.incidents import Incident
from ragwatch.health.objectives import Freshness, Standing, span
from ragwatch.render.freshness import HOW, budget_text, burning, goal_text, in_time_text, meaning
from ragwatch.render.report_charts import Frame, bars, bound, lifetime, meter, plain, strip, trend
from ragwatch.render.report_style import STYLE
from ragwatch.render.text import number
from ragwatch.report import Measured, Report

SHOWN = 30
"""Rows of a list; more are counted."""
MEASURES = 8

_STATUS_TONE = {Status.HEALTHY: "good", Status.DEGRADED: "bad", Status.UNKNOWN: "unsure"}
_SEVERITY_TONE = {Severity.ERROR: "bad", Severity.WARNING: "unsure", Severity.INFO: "dim"}
_STANDING = {
    Standing.KEPT: ("kept", "good"),
    Standing.MISSED: ("missed", "bad"),
    Standing.AT_RISK: ("at risk", "bad"),
    Standing.NOT_ENOUGH: ("too few changes", "unsure"),
    Standing.NO_OBJECTIVE: ("no objective", "dim"),
}


def report_html(report: Report) -> str:
    """Return the whole file."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    sections = (_header(report), _tiles(report), _days(report), _incidents(report), _freshness(report))
    more = (_retrieval(report), _audits(report), _work(report))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>ragwatch: {plain(report.collection)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join((*sections, *more))
        + f"\n<footer>ragwatch {__version__}. All times are UTC. {_note(report)}</footer>\n</body></html>\n"
    )


def name(text: str) -> str:
    """Escape a name, and keep its writing direction from spreading."""
    return f"<bdi>{plain(text)}</bdi>"


def _note(report: Report) -> str:
    return f"What was forgotten before {report.since:%d %b %Y} or by `prune_history` is not in it."


def _header(report: Report) -> str:
    status = report.known.status
    return (
        f'<header><h1>{name(report.collection)}</h1><span class="pill {_STATUS_TONE[status]}">{status}</span>'
        f'<p class="dim">{number(len(report.days), "day")} to {report.now:%d %b %Y %H:%M} UTC</p></header>'
    )


# --- the numbers at the top ----------------------------------------------------------------------------------


def _tiles(report: Report) -> str:
    tiles = (_tile_incidents(report), _tile_freshness(report), _tile_retrieval(report), _tile_audit(report))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _tile(label: str, value: str, tone: str, more: str) -> str:
    return f'<div class="tile"><span>{label}</span><b class="{tone}">{value}</b><span>{more}</span></div>'


def _tile_incidents(report: Report) -> str:
    count = len(report.open)
    tone = _SEVERITY_TONE[report.open[0].problem.severity] if report.open else "good"
    return _tile("Incidents", f"{count:,} open", tone, f"{len(report.ended):,} resolved in the period")


def _tile_freshness(report: Report) -> str:
    judged = [one for one in report.freshness if one.objective is not None]
    if not judged:
        return _tile("Freshness", "no objective", "dim", "[[objectives]] in ragwatch.toml")
    bad = [one for one in judged if one.standing in (Standing.AT_RISK, Standing.MISSED)]
    few = [one for one in judged if one.standing is Standing.NOT_ENOUGH]
    kept = len(judged) - len(bad) - len(few)
    more = f"{len(bad)} missed or at risk, {len(few)} with too few changes"
    return _tile("Freshness", f"{kept} of {len(judged)} kept", "bad" if bad else "unsure" if few else "good", more)


def _tile_retrieval(report: Report) -> str:
    newest = next((points[-1] for measure, points in report.probes.items() if measure.startswith("hit@")), None)
    if newest is None:
        return _tile("Retrieval", "not probed", "dim", "ragwatch golden generate, ragwatch probe")
    measure = next(one for one in report.probes if one.startswith("hit@"))
    more = f"{plain(measure)}, n {newest.n:,}, {newest.at:%d %b}" + ("; judged worse" if newest.worse else "")
    return _tile("Retrieval", f"{newest.value:.3f}", "bad" if newest.worse else "", more)


def _tile_audit(report: Report) -> str:
    if not report.audits:
        return _tile("Vectors that can be wrong", "not audited", "dim", "ragwatch audit")
    newest = report.audits[-1]
    tone = "bad" if newest.wrong else ""
    found = f"{newest.wrong:,} of {newest.n:,} were, {newest.at:%d %b}"
    return _tile("Vectors that can be wrong", f"at most {newest.upper:.1%}", tone, found)


# --- charts --------------------------------------------------------------------------------------------------


def _days(report: Report) -> str:
    most = max((day.behind for day in report.days), default=0)
    axis = f'<div class="x"><span>{report.since:%d %b %Y}</span><span>{report.now:%d %b %Y}</span></div>'
    keys = (("good", "healthy"), ("bad", "degraded"), ("unsure", "unknown (half as high)"), ("none", "no comparison"))
    key = "".join(f'<span><i class="key-{tone}"></i>{word}</span>' for tone, word in keys)
    return (
        "<section><h2>Day by day</h2>"
        '<p class="dim">The worst that any comparison of the day said, and how many documents were behind at worst.</p>'
        f'<figure><div class="plot"><div class="y"><span>status</span></div>{strip(report.days)}</div>'
        f'<div class="plot"><div class="y"><span>{most:,}</span><span>0</span></div>{bars(report.days, most)}{axis}'
        f'</div><div class="key">{key}</div></figure></section>'
    )


def _retrieval(report: Report) -> str:
    if not report.probes:
        return ""
    charts = "".join(_measure(report, one, points) for one, points in list(report.probes.items())[:MEASURES])
    return (
        "<section><h2>Retrieval</h2>"
        '<p class="dim">Means over the documents of the golden queries, with their 95 % interval. Large dots were '
        f'judged worse than the accepted state.</p><div class="many">{charts}</div></section>'
    )


def _measure(report: Report, measure: str, points: Sequence[Measured]) -> str:
    low = min(one.low for one in points)
    high = max(one.high for one in points)
    frame = Frame(report.since, report.now, max(0.0, low - 0.02), min(1.0, high + 0.02))
    newest = points[-1]
    caption = f'<h3>{plain(measure)}</h3><span class="dim">{newest.value:.3f}, n {newest.n:,}</span>'
    chart = _plot(report, frame, trend(points, frame, measure), ".2f")
    return f"<figure><figcaption>{caption}</figcaption>{chart}</figure>"


def _plot(report: Report, frame: Frame, chart: str, form: str) -> str:
    values = f"<span>{frame.high:{form}}</span><span>{frame.low:{form}}</span>"
    axis = f"<span>{report.since:%d %b}</span><span>{report.now:%d %b}</span>"
    return f'<div class="plot"><div class="y">{values}</div>{chart}<div class="x">{axis}</div></div>'


def _audits(report: Report) -> str:
    if not report.audits:
        return ""
    frame = Frame(report.since, report.now, 0.0, max(one.upper for one in report.audits))
    wrong = sum(one.wrong > 0 for one in report.audits)
    return (
        "<section><h2>Audits</h2>"
        '<p class="dim">The largest share of stored vectors that each audit leaves possible to be wrong. '
        f"{number(len(report.audits), 'audit')}, {wrong:,} of which found wrong vectors (large dots).</p>"
        f"<figure>{_plot(report, frame, bound(report.audits, frame), '.2%')}</figure></section>"
    )


# --- lists ---------------------------------------------------------------------------------------------------


def _incidents(report: Report) -> str:
    frame = Frame(report.since, report.now)
    if report.open:
        opened = "".join(_open(one, frame) for one in report.open[:SHOWN]) + _rest(len(report.open), "open incidents")
    else:
        opened = '<p class="good">None is open.</p>'
    return f"<section><h2>Incidents</h2>{opened}{_ended(report, frame)}</section>"


def _open(incident: Incident, frame: Frame) -> str:
    problem = incident.problem
    told = "".join(f"<li>{plain(fact)}</li>" for fact in problem.facts[:6])
    facts = f"<ul>{told}</ul>" if told else ""
    command = f"<p><code>{plain(problem.command)}</code></p>" if problem.command else ""
    acknowledged = f"; acknowledged by {name(incident.acknowledged_by)}" if incident.acknowledged else ""
    explained = f"; explained by {plain(incident.suppressed_by)}" if incident.suppressed_by else ""
    severity = f'<b class="{_SEVERITY_TONE[problem.severity]}">{problem.severity.label}</b>'
    return (
        f'<div class="incident"><p>{severity} <bdi>{plain(problem.summary)}</bdi></p>{lifetime(incident, frame)}'
        f'<p class="dim">{plain(problem.cause)}, {plain(incident.id[:8])}, since {incident.first_seen:%d %b %H:%M}'
        f"{acknowledged}{explained}</p>{facts}{command}</div>"
    )


def _ended(report: Report, frame: Frame) -> str:
    if not report.ended:
        return '<p class="dim">None was resolved in the period.</p>'
    rows = "".join(
        f'<tr><td class="whole">{one.first_seen:%d %b %H:%M}</td><td class="whole">{span(_seconds(one))}</td>'
        f'<td class="{_SEVERITY_TONE[one.problem.severity]}">{one.problem.severity.label}</td>'
        f"<td><bdi>{plain(one.problem.summary)}</bdi></td><td>{lifetime(one, frame)}</td></tr>"
        for one in report.ended[:SHOWN]
    )
    head = _head("since", "lasted", "severity", "what", "in the period")
    table = f'<div class="scroll"><table>{head}{rows}</table></div>'
    return f'<h3 class="after">Resolved</h3>{table}{_rest(len(report.ended), "resolved ones")}'


def _seconds(incident: Incident) -> float:
    return ((incident.resolved or incident.last_seen) - incident.first_seen).total_seconds()


def _rest(count: int, what: str) -> str:
    return f'<p class="dim">… and {count - SHOWN:,} more {what}: ragwatch incidents</p>' if count > SHOWN else ""


def _head(*names: str) -> str:
    return "<tr>" + "".join(f"<th>{one}</th>" for one in names) + "</tr>"


def _freshness(report: Report) -> str:
    if not report.freshness:
        return ""
    rows = "".join(_fresh(one) for one in report.freshness[: 3 * SHOWN])
    alarms = "".join(f'<p class="bad">{plain(line)}</p>' for one in report.freshness for line in burning(one))
    head = _head("source", "change", "verdict", "objective", "in time", "budget left", "p50", "p95", "max", "pending")
    return (
        f'<section><h2>Freshness</h2><p class="dim">{HOW}</p>{alarms}'
        f'<div class="scroll"><table>{head}{rows}</table></div></section>'
    )


def _fresh(one: Freshness) -> str:
    word, tone = _STANDING[one.standing]
    lag = one.lag
    times = (span(value) for value in (lag.p50_s, lag.p95_s, lag.max_s)) if lag else ("·", "·", "·")
    left = one.budget_left
    budget = "" if left is None else meter(left, "bad" if left <= 0 else "good", budget_text(one)) + budget_text(one)
    pending = f"{one.pending:,}" + (f" ({one.pending_late:,} late)" if one.pending_late else "")
    return (
        f'<tr><td>{name(one.source)}</td><td>{one.change}</td><td class="{tone}">{word}</td>'
        f'<td class="whole">{goal_text(one)}</td><td class="whole">{in_time_text(one)}</td><td>{budget}</td>'
        + "".join(f'<td class="n">{value}</td>' for value in times)
        + f'<td class="whole">{pending}</td></tr>'
    )


def _work(report: Report) -> str:
    work, level = report.work, report.licence
    reasons = "".join(f"<li>{plain(reason)}</li>" for reason in (*level.reasons, *report.blocked))
    repairs = work.by_policy + work.by_people
    made = (
        f"{number(repairs, 'repair')}, {work.by_policy:,} of them by policy, {work.unverified:,} not verified: "
        f"{work.tokens:,} tokens encoded, {work.written:,} points written, {work.deleted:,} deleted."
    )
    return (
        f"<section><h2>Repairs and jobs</h2><p>{made}</p>"
        f"<p>Level in force: <b>{level.level}</b>; {meaning(level.level, report.rules)}.</p><ul>{reasons}</ul>"
        f"{_jobs(report)}</section>"
    )


def _jobs(report: Report) -> str:
    if not report.jobs:
        return ""
    rows = "".join(_job(job, values) for job, values in _tallies(report))
    head = _head("job", "done", "not measured", "incomplete", "failed", "missed")
    return f'<div class="scroll"><table>{head}{rows}</table></div>'


def _tallies(report: Report) -> Iterable[tuple[str, tuple[int, ...]]]:
    for job, tally in list(report.jobs.items())[:SHOWN]:
        yield job, (tally.done, tally.not_measured, tally.incomplete, tally.failed, tally.missed)


def _job(job: str, values: tuple[int, ...]) -> str:
    tones = ("", "unsure", "unsure", "bad", "bad")
    cells = "".join(
        f'<td class="{tone if value else "dim"}">{value:,}</td>' for value, tone in zip(values, tones, strict=True)
    )
    return f"<tr><td>{name(job)}</td>{cells}</tr>"
