"""Encoders as text for people: their fingerprint, what differs between two, and whether one is still the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ragwatch.index.encoder_diff import FieldChange, change_words, meaning_of, value_words, verdict

if TYPE_CHECKING:
    from ragwatch.attestation import Attestation
    from ragwatch.encoder_report import EncoderCheck, EncoderDiff, EncoderOverview

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
        table.add_row(name, escape(value_words(name, value)), meaning_of(name))
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
        yield Text(verdict(found.changes))


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
    table = _table("field", escape(before), escape(after), "by itself")
    for change in changes:
        values = (escape(value_words(change.field, value)) for value in (change.before, change.after))
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
    head = Text.assemble(_HEAD[found.state], f"  {found.encoder}, collection {found.collection}")
    return Group(head, *_settings_lines(found), *_query_lines(found), *_pinned_lines(found), *_next_lines(found))


def _settings_lines(found: EncoderCheck) -> Iterable[RenderableType]:
    if found.changes:
        yield Text(f"settings   differ from those that the index was made with: {change_words(found.changes)}")
    elif not found.problem:
        yield Text("settings   are those that the index was made with", style="dim")


def _query_lines(found: EncoderCheck) -> Iterable[RenderableType]:
    queries = found.queries
    if queries is None:
        yield Text(f"queries    could not be compared: {found.problem}", style="yellow")
    elif queries.state == "same":
        yield Text(f"queries    get the index's vectors, cosine at least {_cosine(queries.cosine)}", style="dim")
    else:
        text = f"; worst: {queries.text!r}, cosine {_cosine(queries.cosine)}" if queries.text else ""
        yield Text(f"queries    get other vectors than the index's: {queries.reason}{text}")


def _pinned_lines(found: EncoderCheck) -> Iterable[RenderableType]:
    pinned = found.pinned
    count = f"{len(pinned.texts)} fixed texts"
    levels = f"another encoder counts from {pinned.tolerance.page:.4f}, its own noise is {pinned.tolerance.noise:.1e}"
    since = f"{pinned.reference_from:%Y-%m-%d %H:%M} UTC"
    if pinned.state == "first use":
        yield Text(f"reference  vectors of {count} taken now; later checks compare with them ({levels})", style="dim")
    elif found.acceptance:
        yield Text(f"reference  replaced by the encoder as it is now; it was of {since}: {_was(pinned)}")
    else:
        style = {"same": "dim", "drifted": "yellow", "another": "red"}[pinned.state]
        yield Text(f"reference  of {since}, {count}: {_was(pinned)} ({levels})", style=style)
    if pinned.state in ("drifted", "another"):
        yield _distances_table(pinned)
    if pinned.newly_refused:
        yield Text(f"           texts that it refuses now: {', '.join(pinned.newly_refused)}", style="yellow")
    if pinned.versions:
        yield Text(f"           changed since then: {change_words(pinned.versions)}", style="dim")


def _was(pinned: Attestation) -> str:
    lengths = ", and vectors have other lengths" if pinned.lengths_changed else ""
    words = {
        "same": "the same vectors",
        "drifted": "the same vectors, rounded otherwise",
        "another": "other vectors under the same name and settings",
    }[pinned.state]
    far = f"distance at most {pinned.worst.distance:.2g}" if pinned.worst.distance else "to the last digit"
    return f"{words}{lengths}, {far}"


def _distances_table(pinned: Attestation) -> RenderableType:
    table = _table("           fixed text", "cosine to its reference")
    for text in pinned.texts[:SHOWN]:
        table.add_row(f"           {text.name}", _cosine(1 - text.distance))
    return table


def _cosine(value: float) -> str:
    """Return a cosine with as many nines as matter; never 1 for what is not."""
    return f"{value:.3f}" if value < 0.999 else f"{min(value, 1.0):.7f}"


def _next_lines(found: EncoderCheck) -> Iterable[RenderableType]:
    lines = [*_acceptance(found), *_advice(found)]
    if lines:
        yield Text()
        yield Text(" ".join(lines))


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
        yield verdict(found.changes)
        yield "Or set [encoder] back."
    elif found.acceptance and found.acceptance.wrong:
        yield "If it is to be the index's encoder: `ragwatch reindex --vectors`, then this command again."
    elif found.state == "differs":
        yield (
            "The settings are the same and the vectors are not: whoever serves this model changed it, or another "
            "program runs it. Queries and stored vectors no longer belong together."
        )
        yield "`ragwatch audit` says how much of the index is wrong. Bring the old encoder back, or, if the new one is"
        yield "to stay: `ragwatch encoder check --accept`."
    elif found.state == "drifted":
        yield "Harmless for search. To take it for the reference from here on: `ragwatch encoder check --accept`."
    elif found.state == "unknown":
        yield "`ragwatch reindex` lets the collection carry a descriptor. For one that ragwatch only watches,"
        yield "`ragwatch audit` compares the stored vectors themselves."
