"""review: a person says of each golden query that nobody has looked at whether it stays. Every word is kept at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError
from ragwatch.health.retrieval import RelevantPassage
from ragwatch.pipeline import Pipeline, Progress, no_progress
from ragwatch.probes.evidence import Evidence, EvidenceState, evidence
from ragwatch.probes.golden import NO_EVIDENCE, GoldenEntry, GoldenFile, Review, edit_golden_file

EDITABLE = ("query", "document", "quote", "answer")


def waiting(file: GoldenFile) -> list[GoldenEntry]:
    """Return what nobody has decided on: first what needs review, then what was made or imported."""
    needing = [entry for entry in file.entries if entry.review is Review.NEEDS_REVIEW]
    return needing + [entry for entry in file.entries if entry.review is Review.UNREVIEWED]


def evidence_of(
    entries: Sequence[GoldenEntry], pipeline: Pipeline, *, moved: bool = True, progress: Progress = no_progress
) -> dict[str, Evidence]:
    """Return the evidence of entries as of now, by id; `moved` looks for lost quotes in the whole corpus."""
    return evidence([entry.query for entry in entries], pipeline, look_for_moved=moved, progress=progress)


def acceptance(entry: GoldenEntry, found: Evidence) -> dict[str, Json]:
    """Return the fields that accepting a query sets; where a quote moved, the document that holds it now.

    Raises `ConfigError` where it names no evidence, or none that stands in the corpus: accepted, it would be asked
    and could only fail.
    """
    name = entry.query.id
    if found.state is EvidenceState.NONE and not entry.query.forbidden:
        raise ConfigError(f"golden query {name!r} cannot be accepted: {NO_EVIDENCE}", hint="ragwatch golden review")
    if found.state in (EvidenceState.GONE, EvidenceState.UNREADABLE):
        raise ConfigError(
            f"golden query {name!r} cannot be accepted: {found.reason}",
            hint="name its document and quote (ragwatch golden review, e), or reject it: "
            f"ragwatch golden review --reject {name}",
        )
    changes: dict[str, Json] = {"reviewed": True, "needs_review": None, "rejected": None}
    return changes | _moves(entry, found)


def _moves(entry: GoldenEntry, found: Evidence) -> dict[str, Json]:
    """Return the fields that let every quote that moved name the document that holds it now."""
    changes: dict[str, Json] = {}
    moved = dict(zip(entry.query.evidence, found.passages, strict=True))
    first = RelevantPassage(entry.query.document, entry.query.quote, entry.query.source)
    if first in moved:
        changes |= _home(moved[first])
    listed = entry.fields.get("also")
    further = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    homes = [_home(moved[one]) for one in entry.query.also]
    if any(homes):
        changes["also"] = [{**fields, **home} for fields, home in zip(further, homes, strict=True)]
    return changes


def _home(found: Evidence) -> dict[str, Json]:
    if found.state is not EvidenceState.MOVED:
        return {}
    source, _, document = found.document.partition(":")
    return {"source": source, "document": document}


def rejection() -> dict[str, Json]:
    """Return the fields that rejecting a query sets."""
    return {"reviewed": True, "rejected": True}


def amendment(values: Mapping[str, str]) -> dict[str, Json]:
    """Return the fields that an edit sets; an emptied one is taken out. The query stays to be accepted."""
    return {key: value.strip() or None for key, value in values.items() if key in EDITABLE}


def decide(
    path: Path,
    pipeline: Pipeline,
    *,
    accept: Sequence[str] = (),
    reject: Sequence[str] = (),
    progress: Progress = no_progress,
) -> GoldenFile:
    """Accept and reject queries by id, in one write: all of them, or none where one cannot be.

    Raises `NotFoundError` for an id that is not there, and as `acceptance` does.
    """
    both = set(accept) & set(reject)
    if both:
        raise ConfigError(f"{sorted(both)[0]!r} is to be accepted and rejected", hint="give one of them")

    def edit(file: GoldenFile) -> GoldenFile:
        entries = [file.entry(name) for name in accept]
        found = evidence_of(entries, pipeline, progress=progress)
        for entry in entries:
            file = file.changed(entry.query.id, acceptance(entry, found[entry.query.id]))
        for name in reject:
            file = file.changed(name, rejection())
        return file

    return edit_golden_file(path, edit)
