"""Migrations as text and JSON."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table

from ragwatch.corpus.identity import Json
from ragwatch.health.findings import set_aside_words
from ragwatch.health.paired import Paired, smallest_seen
from ragwatch.index.migration import Migration, Phase, Step
from ragwatch.migration.bridge import Bridge, K
from ragwatch.migration.gate import ALPHA, GateReport, Retrieval
from ragwatch.migration.plan import MigrationPlan
from ragwatch.migration.steps import Filled, StepReport
from ragwatch.ports import CollectionInfo
from ragwatch.render.plain import Text
from ragwatch.render.text import ago, duration, estimate_text, number
from ragwatch.words.text import one_line

STYLE = {
    Phase.PLANNED: "bold",
    Phase.FILLING: "bold yellow",
    Phase.FILLED: "bold",
    Phase.GATED: "bold green",
    Phase.CUT_OVER: "bold green",
    Phase.ROLLED_BACK: "bold yellow",
    Phase.FINISHED: "bold green",
    Phase.ABANDONED: "dim",
}

NEXT = {
    Phase.PLANNED: "ragwatch migrate start fills the new collection; the old one stays in service",
    Phase.FILLING: "ragwatch migrate start goes on where it stopped",
    Phase.FILLED: "ragwatch migrate gate judges the new collection",
    Phase.GATED: "ragwatch migrate cutover switches the alias",
    Phase.CUT_OVER: "ragwatch migrate finish deletes the old collection; until then: ragwatch migrate rollback",
    Phase.ROLLED_BACK: "ragwatch migrate start brings the new collection up to date, or: ragwatch migrate abandon",
    Phase.FINISHED: "",
    Phase.ABANDONED: "",
}

GATE_FAILED = 'mend what failed, then ragwatch migrate gate; with a reason: ragwatch migrate gate --override "REASON"'


def plan_text(plan: MigrationPlan) -> RenderableType:
    """Return what a migration takes: from where to where, the cost, what comes next."""
    totals, migration = plan.cost.totals, plan.migration
    cost = Table(box=None, pad_edge=False, show_header=False)
    rate = {"new": "", "old": " at the speed of the encoder in service", "": ", time unknown"}[plan.cost.rate_of]
    chunks, tokens = number(totals.encode_chunks, "chunk"), number(totals.encode_tokens, "token")
    cost.add_row("encode", f"{chunks}, {tokens}{estimate_text(plan.cost.estimate)}{rate}")
    donor = f"that {migration.old.collection} has" if migration.same_encoder else "of an equal text"
    reused = f", {totals.reuse:,} with a vector {donor}" if totals.reuse else ""
    cost.add_row("write", f"{number(totals.write, 'point')}{reused}")
    cost.add_row("disk", f"about {_size(plan.cost.disk_bytes)} more until the old collection is deleted")
    known = f"noted before, {migration.phase}" if plan.known else "planned" if plan.noted else "dry run, nothing noted"
    parts: list[RenderableType] = [
        Text.assemble((f"Migration of {migration.alias}", "bold"), f"  {known}"),
        _sides(migration, served=plan.served_points),
        cost,
    ]
    if migration.golden:
        parts.append(Text(f"The gate will ask the golden queries of {migration.golden}."))
    else:
        parts.append(Text("No golden queries: counts and an audit will be the gate. --golden FILE adds them."))
    if not migration.same_encoder:
        parts.append(
            Text(
                f"Applications must encode queries as the collection says that {migration.alias} names: "
                "they read its descriptor through the alias (ragwatch.guard)."
            )
        )
    return Group(*parts, *(_next(migration) if plan.noted else ()))


def step_text(report: StepReport, changes: Sequence[str], now: datetime) -> RenderableType:
    """Return where the migration stands after a step, and what the step did."""
    migration = report.migration
    parts: list[RenderableType] = [
        Text.assemble(
            (str(migration.phase).upper(), STYLE[migration.phase]), f"  migration of {migration.alias}", _took(report)
        ),
        _sides(migration, old=report.old, new=report.new),
    ]
    if report.step == "status":
        reached = ", ".join(f"{phase} {ago(datetime.fromisoformat(at), now)}" for phase, at in migration.history)
        parts.append(Text(reached, style="dim"))
    if report.declined:
        parts.append(Text("Nothing was done.", style="yellow"))
    if report.filled:
        parts += list(_filled(report.filled, report.step))
    if report.gate:
        parts.append(gate_text(report.gate))
    elif report.step == "status" and migration.gate:
        parts.append(_verdict(migration))
    if report.staleness:
        stale = report.staleness
        line = f"{migration.old.collection} is behind: {number(stale.changed, 'document')} new or edited since"
        parts.append(Text(f"{line}, {stale.gone:,} served that are gone. Run ragwatch reindex.", style="yellow"))
    if changes:
        parts += [_configuration(changes), *(Text(f"  {line}") for line in changes)]
    return Group(*parts, *_next(migration))


def step_json(report: StepReport, changes: Sequence[str]) -> dict[str, Json]:
    """Return the report with the lines of the configuration to change."""
    return {**report.to_json(), "configuration": list[Json](changes)}


def alias_text(alias: str, collection: str, made: bool) -> RenderableType:
    """Return what `plan --alias` did and what is left to do by hand."""
    verb = "now names" if made else "names already"
    return Group(
        Text.assemble((f"Alias {alias}", "bold"), f" {verb} collection {collection}; nothing else has changed."),
        Text("1. Let every application use the alias instead of the collection's own name."),
        Text(f'2. Set collection = "{alias}" in the configuration file.'),
        Text.assemble("3. ", ("ragwatch migrate plan", "bold")),
    )


def gate_text(report: GateReport) -> RenderableType:
    """Return the checks one by one, the comparison by slice, and the verdict."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for check in report.checks:
        word = ("ok", "green") if check.passed else ("FAILED", "bold red")
        table.add_row(Text(*word), check.name, one_line(check.fact))
    parts: list[RenderableType] = [table]
    if report.retrieval:
        parts += [Text(line, style=style) for line, style in _retrieval(report.retrieval)]
    parts += [Text(f"  {remark}", style="dim") for remark in report.remarks]
    if report.failed and report.passed:
        parts.append(Text(f"PASSED by override: {report.override}", style="bold yellow"))
    else:
        parts.append(Text("PASSED", style="bold green") if report.passed else Text("FAILED", style="bold red"))
    return Group(*parts)


def _retrieval(found: Retrieval) -> Iterator[tuple[str, str]]:
    """Yield the lines of a comparison with their styles: what it could see, and the slices that say something."""
    seen = smallest_seen(found.hits.units, alpha=ALPHA / 2)
    yield (
        f"  {found.hits.queries} queries on {found.hits.units} documents: {_p(found.hits)} for hit@{found.k} "
        f"and {_p(found.mrr)} for MRR; no fall of hit@{found.k} below {seen:.0%} can be told from chance",
        "dim",
    )
    for tag, one in found.slices.items():
        if tag in found.worse:
            yield f"  {tag}: hit@{found.k} {one.old:.3f} → {one.new:.3f}  WORSE (queries: {one.queries})", "red"
        elif one.difference or one.judged:
            judged = "" if one.judged else ", too few documents to judge"
            yield f"  {tag}: hit@{found.k} {one.old:.3f} → {one.new:.3f} (queries: {one.queries}{judged})", "dim"
    if found.overlap is not None:
        yield f"  overlap of the best {found.k}: {found.overlap:.0%}; it decides nothing", "dim"


def _p(found: Paired) -> str:
    return f"p {found.p_worse:.3f}" if found.p_worse >= 0.001 else "p < 0.001"


def _sides(
    migration: Migration,
    *,
    old: CollectionInfo | None = None,
    new: CollectionInfo | None = None,
    served: int | None = None,
) -> RenderableType:
    table = Table(box=None, pad_edge=False, show_header=False)
    now_new = migration.phase in (Phase.CUT_OVER, Phase.FINISHED)
    absent = {"from": "deleted", "to": "deleted" if migration.phase is Phase.ABANDONED else "not there yet"}
    points = {"from": served if old is None else old.points, "to": new.points if new else None}
    for name, side, current in (("from", migration.old, not now_new), ("to", migration.new, now_new)):
        held = points[name]
        table.add_row(
            name,
            side.collection,
            f"encoder {side.encoder}",
            f"chunker {side.chunker[:16]}",
            number(held, "point") if held is not None else absent[name],
            "in service" if current else "",
        )
    return table


def _filled(filled: Filled, step: str) -> Iterator[RenderableType]:
    done = filled.to_json()
    what = "Brought up to date" if step != Step.START else "Filled"
    passes = len(filled.passes)
    yield Text(
        f"{what}: encoded {_count(done, 'encoded_chunks', 'chunk')}, "
        f"reused {_count(done, 'reused_vectors', 'vector')}, "
        f"wrote {_count(done, 'upserted', 'point')}, deleted {done['deleted']:,}; "
        f"{passes} {'pass' if passes == 1 else 'passes'}"
    )
    if not filled.verified:
        yield Text("NOT VERIFIED", style="bold red")
        yield from (Text(f"  {one}") for one in filled.remaining[:10])
    elif not filled.settled:
        yield Text("The source is being edited all the time; the cutover follows it.", style="yellow")
    if words := set_aside_words(filled.set_aside):
        yield Text(f"NOT WHOLE  {words} in the collection that was filled", style="bold yellow")
        refused = {key: why for one in filled.passes for key, why in one.applied.quarantined.items()}
        yield from (Text(f"  {one_line(f'{key}: {why}')}") for key, why in sorted(refused.items())[:10])


def _count(done: Mapping[str, Json], key: str, noun: str) -> str:
    value = done[key]
    return number(value if isinstance(value, int) else 0, noun)


def _verdict(migration: Migration) -> RenderableType:
    gate = migration.gate
    if gate is None or not gate.failed:
        return Text("gate passed", style="green")
    failed = ", ".join(gate.failed)
    if gate.override:
        return Text(f"gate passed by override ({failed}): {gate.override}", style="yellow")
    return Text(f"gate failed: {failed}", style="red")


def _configuration(changes: Sequence[str]) -> RenderableType:
    lines = "this line" if len(changes) == 1 else "these lines"
    return Text(
        f"The configuration names another encoder or chunker than the collection in service. Change {lines}; until "
        "then scan reports a conflict and reindex refuses:",
        style="bold yellow",
    )


def _next(migration: Migration) -> Iterator[RenderableType]:
    following = NEXT[migration.phase]
    if migration.phase is Phase.FILLED and migration.gate and not migration.gate.passed:
        following = GATE_FAILED
    if following:
        yield Text(f"next: {following}", style="bold")


def _took(report: StepReport) -> str:
    return f"  {duration(report.elapsed_s)}" if report.step != "status" else ""


def _size(count: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}"
        count = round(count / 1000)
    return f"{count:,.0f} TB"


def bridge_text(bridge: Bridge, file: str) -> RenderableType:
    """Return what a bridge is worth, and how it is used."""
    hits = bridge.hits
    return Group(
        Text(
            f"{hits.queries} golden queries about {hits.units} documents, on the old index: hit@{K} {hits.old:.3f} "
            f"with the old encoder, {hits.new:.3f} with the new one through the bridge "
            f"({hits.low:+.2f} to {hits.high:+.2f})."
        ),
        Text(f"Fitted on {bridge.texts:,} stored texts, which are no golden queries; written to {file}."),
        Text('  bridge = numpy.load("' + file + '")["map"]'),
        Text("  vector = encode(query) @ bridge"),
        Text("Only until the cutover: the new index needs no bridge.", style="dim"),
    )
