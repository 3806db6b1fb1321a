"""Golden queries as text for people: what was made, imported, waits for review, and what traffic they speak for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from ragwatch.probes.golden import Review
from ragwatch.render.plain import Text
from ragwatch.render.text import number
from ragwatch.words.text import clean, one_line

if TYPE_CHECKING:
    from ragwatch.golden.coverage import Coverage, Suggestion
    from ragwatch.golden.filter import Generated
    from ragwatch.golden.judged import CostEstimate
    from ragwatch.health.retrieval import RelevantPassage
    from ragwatch.probes.evidence import Evidence
    from ragwatch.probes.golden import GoldenEntry, GoldenFile
    from ragwatch.probes.golden_import import Imported
    from ragwatch.probes.ragas_testset import SynthesisReport

SHOWN = 20
_STEPS = {
    "describe": "chunks described",
    "persona": "personas made",
    "relate": "comparisons of chunks",
    "single_hop": "single-hop questions",
    "multi_hop_specific": "specific multi-hop questions",
    "multi_hop_abstract": "abstract multi-hop questions",
}
_STYLE = {Review.ACCEPTED: "green", Review.UNREVIEWED: "yellow", Review.NEEDS_REVIEW: "bold yellow"}


def queries(count: int) -> str:
    """Return "1 query", "2 queries"."""
    return "1 query" if count == 1 else f"{count:,} queries"


def _golden(count: int) -> str:
    return "1 golden query" if count == 1 else f"{count:,} golden queries"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def generated_text(found: Generated, *, verbose: bool = False) -> RenderableType:
    """Return the new queries, what the filter took out, and at which ranks the index answers the rest."""
    table = _table("query", "document", "quote")
    shown = found.lines if verbose else found.lines[:SHOWN]
    for line in shown:
        also = line.get("also")
        passages = [line, *(one for one in also if isinstance(one, dict))] if isinstance(also, list) else [line]
        cells = ("\n".join(one_line(one[key]) for one in passages) for key in ("document", "quote"))
        table.add_row(one_line(line["query"]), *cells)
    parts: list[RenderableType] = [table]
    if len(shown) < len(found.lines):
        parts.append(Text(f"… and {len(found.lines) - len(shown):,} more (--verbose shows all, --json too)", "dim"))
    parts += [Text(), *(_synthesis_lines(found.synthesis) if found.synthesis else ()), *_filter_lines(found)]
    if found.faults:
        parts.append(Text(f"could not be read: {'; '.join(found.faults[:3])}", style="yellow"))
    return Group(*parts)


def _filter_lines(found: Generated) -> Iterable[RenderableType]:
    kept = found.filter
    of = number(found.documents, "document")
    if found.synthesis:
        what = f"{kept.made:,} written about {of}: {kept.unsupported:,} not drawn from their chunk, "
        what += f"{kept.copies:,} copies of it, {kept.known:,} known already"
    else:
        what = f"{kept.made:,} made from {of}, {kept.tried:,} tried: {kept.known:,} known already"
    yield Text(
        f"{what}, {kept.ambiguous:,} ambiguous, "
        f"{kept.not_found:,} not found among the best {found.k}, {kept.surplus:,} surplus, {kept.kept:,} kept"
    )
    if found.lines:
        first = found.ranks.get(1, 0)
        tags = ", ".join(f"{tag} {count}" for tag, count in found.tags.items())
        yield Text(f"rank 1: {first} of {kept.kept}; {tags}", style="dim")
    if not found.complete:
        stopped = found.synthesis and str(found.synthesis.stopped)
        why = "it ended early" if stopped else "the corpus and the index gave no more that anyone could answer"
        yield Text(f"{found.wanted:,} were wanted; {why}", style="yellow")


def _synthesis_lines(report: SynthesisReport) -> Iterable[RenderableType]:
    """Yield what was asked of the judge, what failed and why, and what it cost."""
    steps = ", ".join(
        f"{_STEPS[step]} {report.done[step]:,} of {report.tried[step]:,}" for step in _STEPS if report.tried[step]
    )
    yield Text(f"done: {steps or 'nothing'}")
    for (step, _, reason), count in sorted(report.failed.items()):
        why = next(text for (one, _, other), text in report.details.items() if (one, other) == (step, reason))
        failed = f"not done: {count:,} × {_STEPS[step]}: {str(reason).replace('_', ' ')}"
        yield Text(failed + (f" ({why})" if why else ""), style="yellow")
    usage = report.usage
    cost = f", {usage.cost:,.4f} {usage.currency}" if usage.cost is not None else ""
    yield Text(f"{usage.requests:,} requests, {usage.cached:,} from the cache, {usage.tokens:,} tokens{cost}", "dim")
    if str(report.stopped):
        yield Text(f"ended early: {str(report.stopped).replace('_', ' ')}: {report.detail}", style="bold yellow")


def estimate_text(found: CostEstimate) -> RenderableType:
    """Return about what a generation with the judge would cost."""
    low, high = found.tokens
    said = f"{found.requests[0]:,} to {found.requests[1]:,} requests, about {low:,} to {high:,} tokens"
    if found.cost:
        said += f", {found.cost[0]:,.2f} to {found.cost[1]:,.2f} {found.currency}"
    return Group(
        Text(said),
        Text(f"{found.chunks[0]:,} chunks are asked about at first, {found.chunks[1]:,} at most", style="dim"),
    )


def imported_text(found: Imported) -> RenderableType:
    """Return how each row of a test set fared."""
    ways = {how: sum(one.how == how for _, one in found.matched) for how in ("id", "text")}
    several = [name for name, one in found.matched if one.others]
    parts: list[RenderableType] = [
        Text(
            f"{_golden(len(found.lines))}: {ways['id']:,} matched by document id, {ways['text']:,} by their passage, "
            f"{len(found.review):,} need review"
        )
    ]
    if several:
        parts.append(Text(f"passage stands in several documents: {_some(several)}", style="dim"))
    for title, rows, style in (
        ("needs review", found.review, "yellow"),
        ("imported without some passages", found.partly, "yellow"),
        ("not imported, a duplicate", found.duplicates, "dim"),
        ("not imported, no question", found.faulty, "red"),
    ):
        parts += _reasons(title, rows, style)
    return Group(*parts)


def _reasons(title: str, rows: Sequence[tuple[str, str]], style: str) -> Iterable[RenderableType]:
    for name, reason in rows[:SHOWN]:
        yield Text.assemble((f"{title}  ", style), f"{name}: {reason}")
    if len(rows) > SHOWN:
        yield Text(f"{title}: … and {len(rows) - SHOWN:,} more (--json shows all)", style="dim")


def _some(names: Sequence[str], shown: int = 5) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown:,} more" if len(names) > shown else "")


def listed_text(
    file: GoldenFile, entries: Sequence[GoldenEntry], evidence: Mapping[str, Evidence] | None
) -> RenderableType:
    """Return entries of a file with their states, and the file's totals."""
    table = _table("id", "query", "document", "review", *(["evidence"] if evidence is not None else []))
    for entry in entries:
        review = Text(str(entry.review), style=_STYLE.get(entry.review, "dim"))
        if entry.reason and entry.review is Review.NEEDS_REVIEW:
            review.append(f": {entry.reason}", style="dim")
        row: list[RenderableType] = [
            one_line(entry.query.id),
            one_line(entry.query.query),
            one_line(entry.query.document or "·"),
            review,
        ]
        found = evidence.get(entry.query.id) if evidence is not None else None
        table.add_row(*row, *([one_line(str(found))] if found else []))
    states = [str(entry.review) for entry in file.entries]
    totals = ", ".join(f"{states.count(str(state)):,} {state}" for state in Review if states.count(str(state)))
    summary = f"{_golden(len(file.entries))} in {file.path.name}: {totals}" if file.entries else "no golden queries yet"
    return Group(table, Text(), Text(summary)) if entries else Text(summary)


def card_text(entry: GoldenEntry, found: Evidence, place: int, total: int) -> RenderableType:
    """Return one entry as it is put to a reviewer."""
    query = entry.query
    rows = Table(box=None, pad_edge=False, show_header=False)
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    evidence = str(found) + (f": {found.reason}" if found.reason else "")
    several = found.passages if len(found.passages) > 1 else ()
    said = (
        ("query", query.query),
        ("document", ":".join(filter(None, (query.source, query.document)))),
        ("quote", query.quote),
        *((f"passage {place}", _passage(one)) for place, one in enumerate(query.also, start=2)),
        ("forbidden", query.forbidden),
        ("answer", query.answer),
        ("tags", ", ".join(query.tags)),
        ("why", entry.reason),
        ("evidence", evidence),
        *((f"passage {place}", _state(one)) for place, one in enumerate(several, start=1)),
    )
    for name, value in said:
        if value:
            rows.add_row(name, clean(value))
    return Group(Text(f"{place} of {total}  {query.id}", style="bold"), rows)


def _passage(one: RelevantPassage) -> str:
    return f"{one}: {one.quote}" if one.quote and one.document else str(one)


def _state(found: Evidence) -> str:
    return str(found) + (f": {found.reason}" if found.reason else "")


def coverage_text(found: Coverage) -> RenderableType:
    """Return the share of traffic beyond the golden queries, what it asks for, and how topics moved."""
    style = "bold green" if found.excess == 0 else "bold yellow"
    parts: list[RenderableType] = [
        Text.assemble(
            (f"{found.beyond:.1%} of the traffic", style),
            f" is farther than {found.radius:.3f} (1 - cosine) from each of {_golden(found.golden)}; "
            "of the golden queries themselves 20 % are, from the others",
        ),
        Text(_meaning(found)),
        Text(_compared(found), style="dim"),
    ]
    if found.clusters:
        parts += [Text(), _clusters(found.clusters, hashed=found.hashed)]
    if found.cluster_count > len(found.clusters):
        parts.append(Text(f"… and {found.cluster_count - len(found.clusters):,} smaller clusters", style="dim"))
    return Group(*parts, *_shift_lines(found))


def _meaning(found: Coverage) -> str:
    if found.excess == 0:
        return "So the golden queries are as near to the traffic as to each other."
    return f"So at least {found.excess:.1%} of the traffic is unlike anything that the golden queries ask."


def _compared(found: Coverage) -> str:
    said = f"{number(found.lines, 'line')}; compared: {found.traffic.distinct:,} distinct"
    if found.sampled > 1:
        said += f" (the frequent ones, and 1 in {found.sampled} of the others, standing for them all)"
    if found.refused:
        said += f"; {found.refused:,} refused by the encoder"
    return said + (f"; {found.skipped:,} without a query, first {found.first_skipped}" if found.skipped else "")


def _clusters(clusters: Sequence[Suggestion], *, hashed: bool) -> RenderableType:
    table = _table("share", "lines", "hash" if hashed else "asked, for example", "answered perhaps in")
    for one in clusters:
        where = one.document + (f" › {' › '.join(one.headings)}" if one.headings else "")
        shown = where if one.near else f"{where or 'nothing'} (far off: perhaps nowhere)"
        table.add_row(f"{one.share:.1%}", f"{one.lines:,}", "\n".join(map(one_line, one.examples)), one_line(shown))
    return table


def _shift_lines(found: Coverage) -> Iterable[RenderableType]:
    shift = found.shift
    if shift is None:
        return
    yield Text()
    yield Text(
        f"Against the earlier log: topics moved by {shift.distance:.1%} (by chance about {shift.chance:.1%}); "
        f"beyond the radius were {shift.beyond_before:.1%}. Context only."
    )
    for place, old, new in shift.moved:
        name = found.names[place] if place >= 0 else "beyond the radius"
        yield Text(f"  {name}: {old:.1%} → {new:.1%}", style="dim")
