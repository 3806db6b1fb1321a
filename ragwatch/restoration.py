"""What a repair's own verification found to be lost, and may be written again in the same run.

Points are deleted and payloads written by id, on what was read just before. A writer that rewrites such a point in
between has its change overwritten or deleted. Where the sources hold what was lost, it is brought back: a second pass
over those documents of the plan, which deletes nothing that the plan did not name.
"""

from collections.abc import Iterable
from dataclasses import replace

from ragwatch.apply import Applied
from ragwatch.corpus.document import Document
from ragwatch.errors import SourceError
from ragwatch.index.plan import DocumentChange, Plan
from ragwatch.pipeline import Pipeline


def restoration(pipeline: Pipeline, planned: Plan, applied: Applied, found: Plan) -> Plan:
    """Return the part of `found`, the plan of the verification, that brings back what was lost since `planned`.

    That is what a document of the plan lacks at the revision that was planned, and documents that have changed since
    if a point that they now hold is one that was deleted. Other changes of the sources are the next run's.
    """
    before = {change.document: change for change in planned.changes}
    known = applied.quarantined.keys() | applied.skipped.keys()
    lacking = [
        replace(change, delete=tuple(one for one in change.delete if one in before[change.document].delete))
        for change in found.changes
        if change.document in before and change.document not in known and change.write + change.relabel
    ]
    moved = [change for change in lacking if change.revision != before[change.document].revision]
    left_out = {change.document for change in moved} - _robbed(pipeline, moved, applied.deleted_points)
    changes = tuple(change for change in lacking if change.document not in left_out)
    # A collection that is gone altogether is not the work of a race.
    return replace(found, changes=() if found.create else changes, malformed=(), create=False, mend=False)


def _robbed(pipeline: Pipeline, changes: Iterable[DocumentChange], deleted: set[str]) -> set[str]:
    """Return the documents that now hold a chunk whose point was deleted."""
    ids: dict[str, list[str]] = {}
    for change in changes if deleted else ():
        ids.setdefault(change.source, []).append(change.id)
    found: set[str] = set()
    for name, wanted in ids.items():
        source = pipeline.source(name)
        try:
            for outcome in source.read(wanted) if source else ():
                if isinstance(outcome, Document):
                    document = pipeline.desired(outcome, pipeline.spec)
                    if any(chunk.id in deleted for chunk in document.chunks):
                        found.add(document.key)
        except SourceError:
            # What can no longer be read is the next run's.
            continue
    return found
