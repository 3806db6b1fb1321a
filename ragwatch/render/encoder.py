"""Encoders as text for people: their fingerprint, what differs between two, and whether one is still the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from ragwatch.index.encoder_diff import MIGRATE, FieldChange, change_words, meaning_of, value_words, verdict
from ragwatch.render.plain import Text
from ragwatch.words.text import one_line

if TYPE_CHECKING:
    from ragwatch.app.encoder import EncoderCheck, EncoderDiff, EncoderOverview
    from ragwatch.auditing.attestation import Attestation, PinnedDistance

SHOWN = 5
"""Pinned texts that are listed when something is wrong."""
_HEAD = {
    "same": ("SAME ENCODER", "bold green"),
    "drifted": ("SAME ENCODER, ROUNDED OTHERWISE", "bold yellow"),
    "differs": ("ANOTHER ENCODER", "bold red"),
    "unknown": ("UNKNOWN", "bold yellow"),
}


def encoder_text(found: EncoderOverview) -> RenderableType:
    """Return the configured encoder field by field, and what the index says."""
    table = _table("field", "value", "what it is")
    for name, value in found.identity.shape.items():
        table.add_row(name, one_line(value_words(name, value)), meaning_of(name))
    recorded = ", ".join(f"{name} {value_words(name, value)}" for name, value in found.identity.recorded.items())
    return Group(
        Text.assemble(("Configured encoder ", "bold"), found.identity.fingerprint),
        table,
        Text(),
        Text(f"recorded beside it: {recorded}", style="dim"),
        Text(),
        *_index_lines(found),
    )


def _index_lines(found: EncoderOverview) -> Iterable[RenderableType]:
    name, manifest = found.collection, found.manifest
    if manifest is None:
        yield Text.assemble((f"Collection {name} does not say which encoder made it: ", "yellow"), found.problem)
    elif not found.changes:
        yield Text(f"Collection {name} was made by this encoder.", style="green")
        if not manifest.descriptor:
            yield Text("It carries no descriptor for applications yet: ragwatch reindex", style="yellow")
    else:
        yield Text(f"Collection {name} was made by another encoder ({manifest.encoder}):", style="bold red")
        yield _changes_table(found.changes, name, "configured")
        yield Text(verdict(found.changes, before="the index's encoder", after="the configured one"))


def diff_text(found: EncoderDiff) -> RenderableType:
    """Return what differs between two encoders, and what that means for stored vectors."""
    before, after = found.before, found.after
    parts: list[RenderableType] = [
        Text(f"{before.name} ({before.fingerprint}) → {after.name} ({after.fingerprint})"),
        Text(),
    ]
    if found.changes:
        parts += [_changes_table(found.changes, before.name, after.name), Text()]
    parts.append(Text(found.verdict, style="bold red" if _invalidates(found.changes) else "bold green"))
    if found.recorded and before.shape.get("kind") == after.shape.get("kind"):
        parts.append(Text(f"recorded beside the fingerprint: {change_words(found.recorded)}", style="dim"))
    return Group(*parts)


def _invalidates(changes: Sequence[FieldChange]) -> bool:
    return any(change.effect == "invalidates" for change in changes)


def _changes_table(changes: Sequence[FieldChange], before: str, after: str) -> RenderableType:
    table = _table("field", one_line(before), one_line(after), "by itself")
    for change in changes:
        values = (one_line(value_words(change.field, value)) for value in (change.before, change.after))
        table.add_row(change.field, *values, f"{change.effect.words}: {change.why}")
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(columns[0], no_wrap=True)
    for name in columns[1:]:
        table.add_column(name, overflow="fold")
    return table


def check_text(found: EncoderCheck) -> RenderableType:
    """Return the verdict on the configured encoder, its evidence, and what to type."""
    evidence = Table(box=None, pad_edge=False, show_header=False)
    evidence.add_column(style="dim", no_wrap=True)
    evidence.add_column(overflow="fold")
    for name, line in (*_settings_rows(found), *_query_rows(found), *_reference_rows(found)):
        evidence.add_row(name, line)
    head = Text.assemble(_HEAD[found.state], f"  {found.encoder}, collection {found.collection}")
    advice = " ".join((*_acceptance(found), *_advice(found)))
    return Group(head, evidence, *([Text(), Text(advice)] if advice else []))


Rows = Iterable[tuple[str, RenderableType]]


def _settings_rows(found: EncoderCheck) -> Rows:
    if found.changes:
        yield (
            "settings",
            Text(f"differ from those that the index was made with: {change_words(found.changes)}", "red"),
        )
    elif not found.problem:
        yield "settings", Text("those that the index was made with")


def _query_rows(found: EncoderCheck) -> Rows:
    queries = found.queries
    if queries is None:
        yield "queries", Text(f"could not be compared: {found.problem}", "yellow")
    elif queries.state == "same":
        yield "queries", Text(f"get the index's vectors (cosine {_cosine(queries.cosine)})")
    else:
        text = f"; worst: {queries.text!r}, cosine {_cosine(queries.cosine)}" if queries.text else ""
        style = "yellow" if queries.state == "drifted" else "red"
        yield "queries", Text(f"get other vectors than the index's: {queries.reason}{text}", style)


def _reference_rows(found: EncoderCheck) -> Rows:
    pinned = found.pinned
    count = f"{len(pinned.texts)} fixed texts"
    since = f"{pinned.reference_from:%Y-%m-%d %H:%M} UTC"
    if pinned.state == "first use":
        yield "reference", Text(f"vectors of {count} taken now; later checks compare with them")
    else:
        replaced = "replaced by the encoder as it is now; against the old one, " if found.acceptance else ""
        style = {"same": "", "drifted": "yellow", "another": "red"}[pinned.state]
        yield "reference", Text(f"{replaced}of {since}, {count}: {_was(pinned)}", style)
    moved = [text for text in pinned.texts if text.distance > pinned.tolerance.warn]
    if moved:
        yield "", _distances_table(moved)
    if pinned.newly_refused:
        yield "", Text(f"it refuses texts that it took before: {', '.join(pinned.newly_refused)}", "yellow")
    if pinned.versions:
        yield "", Text(f"changed since then: {change_words(pinned.versions)}")


def _was(pinned: Attestation) -> str:
    lengths = ", of other lengths" if pinned.lengths_changed else ""
    words = {
        "same": "the same vectors",
        "drifted": "the same vectors, rounded otherwise",
        "another": "other vectors under the same settings",
    }[pinned.state]
    far = pinned.worst.distance
    measured = f" (1 - cosine up to {far:.2g}; another encoder from {pinned.tolerance.page:.4f})" if far else ""
    return f"{words}{lengths}{measured}"


def _distances_table(moved: Sequence[PinnedDistance]) -> RenderableType:
    table = _table("fixed text", "cosine to its reference")
    for text in moved[:SHOWN]:
        table.add_row(text.name, _cosine(1 - text.distance))
    if len(moved) > SHOWN:
        table.add_row(f"… and {len(moved) - SHOWN} more", "(--json shows all)")
    return table


def _cosine(value: float) -> str:
    """Return a cosine with as many digits as tell."""
    return f"{value:.3f}" if value < 0.999 else f"{min(value, 1.0):.7f}"


def _acceptance(found: EncoderCheck) -> Iterable[str]:
    done = found.acceptance
    if done is None:
        return
    if done.published:
        yield f"Accepted, also in the collection: of {done.audited} sampled stored vectors none is wrong."
    elif done.wrong:
        yield (
            f"Accepted as the reference of later checks. The collection keeps its descriptor, so applications are "
            f"still held to the old encoder: {done.wrong} of {done.audited} sampled stored vectors are not this one's."
        )
    else:
        yield "Accepted as the reference of later checks."


def _advice(found: EncoderCheck) -> Iterable[str]:
    if found.changes:
        said = verdict(found.changes, before="the index's encoder", after="the configured one")
        yield said
        if MIGRATE not in said:
            yield f"One index keeps to one fingerprint all the same: `{MIGRATE}` moves it to this one."
        yield "Or set [encoder] back to what the index has: `ragwatch encoder show`."
    elif found.acceptance and found.acceptance.wrong:
        yield "If it is to be the index's encoder: `ragwatch reindex --vectors`, then this command again."
    elif found.state == "differs":
        yield (
            "The settings are the same and the vectors are not: whoever serves this model changed it, or another "
            "program runs it. Search compares vectors: what the old encoder stored, the new one does not find, and "
            "nothing reports an error."
        )
        yield "`ragwatch audit` says how much of the index is wrong. Bring the old encoder back, or, if the new one is"
        yield "to stay: `ragwatch encoder check --accept`."
    elif found.state == "drifted":
        yield "Harmless for search. To take it for the reference from here on: `ragwatch encoder check --accept`."
    elif found.state == "unknown":
        yield "`ragwatch reindex` lets the collection carry a descriptor. For one that ragwatch only watches,"
        yield "`ragwatch audit` compares the stored vectors themselves."
