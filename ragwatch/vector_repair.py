"""reindex --vectors: encode anew what an audit has shown to be wrong, and audit again.

Wrong vectors come in cohorts: all that one repair wrote while the wrong encoder answered. So the cohorts of the wrong
points are followed to both sides, by bisection over the time of writing, a few encoder calls each, and what lies
between is encoded anew, rather than the whole index.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ragwatch.audit import AuditReport, AuditRequest, audit
from ragwatch.auditing.attestation import attest
from ragwatch.auditing.examination import POINTS_KEPT, Examination
from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError, RefusedError
from ragwatch.fencing import changing
from ragwatch.health.levels import Tolerance
from ragwatch.index.distrust import Cohort, Distrust
from ragwatch.index.guards import Limits
from ragwatch.index.points import labels_of
from ragwatch.pipeline import Pipeline, Progress, no_progress
from ragwatch.ports import RunRecord
from ragwatch.published import republish
from ragwatch.reindex import Consent, ReindexReport, Selection, reindex

PROBES = 12
"""Points of a cohort that are encoded to see whether it is wrong: finds a fifth wrong in 93 of 100 cases."""


@dataclass(frozen=True)
class VectorRepair:
    """The outcome of one repair of vectors."""

    audited: int
    wrong: int
    """Of the audit that the repair went by."""
    cohorts: tuple[Cohort, ...]
    """Encoded anew whole; none where the audit had looked at every point and named those that are wrong."""
    probed: int
    """Chunks that were encoded to find the cohorts."""
    documents: int
    repair: ReindexReport | None
    """None where nothing was wrong."""
    after: AuditReport | None
    """The audit that followed."""
    unknown: int = 0
    """Chunks that the audit which the repair went by could not check."""

    @property
    def verified(self) -> bool:
        if self.repair is None:
            return not self.unknown
        return self.repair.verified and self.after is not None and not self.after.wrong and not self.after.unknown

    def to_json(self) -> dict[str, Json]:
        return {
            "audited": self.audited,
            "wrong": self.wrong,
            "unknown": self.unknown,
            "cohorts": [{"encoder": cohort.encoder, "written_at": cohort.written_at} for cohort in self.cohorts],
            "probed": self.probed,
            "documents": self.documents,
            "reindex": self.repair.to_json() if self.repair else None,
            "audit": self.after.to_json() if self.after else None,
            "verified": self.verified,
        }


def repair_vectors(
    pipeline: Pipeline,
    request: AuditRequest | None = None,
    *,
    limits: Limits,
    holder: str,
    consent: Consent | None = None,
    progress: Progress = no_progress,
) -> VectorRepair:
    """Repair what the newest audit found, or what one made now finds; audit again with `request` afterwards.

    Raises `RefusedError` where the encoder itself is no longer what it was: then it is not the index that is wrong.
    """
    summary = _newest_audit(pipeline) or audit(pipeline, request, progress=progress).to_json()
    attestation = attest(pipeline, progress=progress)
    if attestation.state == "another":
        raise RefusedError(
            f"encoder {attestation.encoder} no longer gives the vectors that it gave on "
            f"{attestation.reference_from:%Y-%m-%d}; encoding with it would spread the damage",
            hint="see `ragwatch encoder check`; if this is meant to be the encoder from now on: "
            "ragwatch encoder check --accept, then this command again",
        )
    suspects = _Suspects.read(summary)
    if not suspects.wrong:
        return VectorRepair(suspects.audited, 0, (), 0, 0, None, None, suspects.unknown)
    search = CohortSearch(pipeline, attestation.tolerance, progress)
    distrust = suspects.distrust or Distrust(cohorts=search.run(suspects.cohorts))
    documents = _documents(pipeline, distrust)
    if not documents:
        raise NotFoundError(
            f"the {suspects.wrong} wrong vectors belong to no document of the configured sources",
            hint="ragwatch repairs only points that it wrote; ragwatch scan shows whose they are",
        )
    distrusting = replace(pipeline, distrust=distrust)
    selection = Selection(tuple(documents))
    repair = reindex(distrusting, selection, limits=limits, holder=holder, consent=consent, progress=progress)
    after = None if repair.declined else audit(pipeline, request, progress=progress)
    if after and not after.wrong and not after.unknown:
        # Applications' guards are to compare with the encoder that the vectors are now of.
        with changing(pipeline, holder) as alone:
            republish(alone)
    cohorts = tuple(sorted(distrust.cohorts))
    wrong, probed = suspects.wrong, search.probed
    return VectorRepair(suspects.audited, wrong, cohorts, probed, len(documents), repair, after, suspects.unknown)


def _newest_audit(pipeline: Pipeline) -> Mapping[str, Json] | None:
    """Return the newest audit's summary if it found something and nothing was written since."""

    def newest(verb: str) -> RunRecord | None:
        return next(iter(pipeline.state.runs(collection=pipeline.collection, verb=verb, limit=1)), None)

    found, written = newest("audit"), newest("reindex")
    if found is None or not found.summary.get("wrong") or (written and written.started > found.started):
        return None
    return found.summary


@dataclass(frozen=True)
class _Suspects:
    """The wrong points of one audit, as its summary has them."""

    audited: int
    wrong: int
    unknown: int
    complete: bool
    points: frozenset[str]
    cohorts: frozenset[Cohort]

    @classmethod
    def read(cls, summary: Mapping[str, Json]) -> "_Suspects":
        found = summary.get("points")
        points = [point for point in found if isinstance(point, dict)] if isinstance(found, list) else []
        audited, wrong, unknown = (summary.get(name) for name in ("audited", "wrong", "unknown"))
        return cls(
            audited=audited if isinstance(audited, int) else 0,
            wrong=wrong if isinstance(wrong, int) else 0,
            unknown=unknown if isinstance(unknown, int) else 0,
            complete=summary.get("complete") is True,
            points=frozenset(str(point["id"]) for point in points),
            cohorts=frozenset(Cohort(str(point["encoder"]), str(point["written_at"])) for point in points),
        )

    @property
    def distrust(self) -> Distrust | None:
        """The wrong points themselves, where the audit knows them all."""
        whole = self.complete and self.wrong <= POINTS_KEPT and self.wrong == len(self.points)
        return Distrust(points=self.points) if whole else None


@dataclass
class CohortSearch:
    """From the cohorts of wrong points to all that lie together with them, in the order of writing."""

    pipeline: Pipeline
    tolerance: Tolerance
    progress: Progress = no_progress
    probed: int = 0
    _members: dict[Cohort, list[str]] = field(default_factory=dict)
    """Cohort → ids of up to `PROBES` of its points, drawn at random."""
    _known: dict[Cohort, bool] = field(default_factory=dict)

    def run(self, seeds: frozenset[Cohort]) -> frozenset[Cohort]:
        """Return the seeds with the cohorts around them that are wrong as well."""
        self._draw()
        self._known.update(dict.fromkeys(seeds, True))
        found: set[Cohort] = set()
        for encoder in sorted({seed.encoder for seed in seeds}):
            ordered = sorted((c for c in {*self._members, *seeds} if c.encoder == encoder), key=_time)
            for seed in sorted(seeds & set(ordered), key=_time):
                if seed not in found:
                    place = ordered.index(seed)
                    right = self._reach(ordered[place:])
                    left = self._reach(ordered[place::-1])
                    found.update(ordered[place - left : place + right + 1])
        return frozenset(found)

    def _draw(self) -> None:
        """Read the labels of every point, which is a small part of the index, and keep a few ids of each cohort."""
        seen: dict[Cohort, int] = {}
        for point in self.pipeline.store.scroll(payload=False):
            labels = labels_of(point.payload, self.pipeline.layout)
            if labels is None:
                continue
            cohort = Cohort.of(labels)
            number = seen[cohort] = seen.get(cohort, 0) + 1
            kept = self._members.setdefault(cohort, [])
            if len(kept) < PROBES:
                kept.append(point.id)
            elif (place := random.randrange(number)) < PROBES:  # noqa: S311 - no secret
                kept[place] = point.id

    def _reach(self, ordered: Sequence[Cohort]) -> int:
        """Return how far the run of wrong cohorts goes that begins at the first: by doubling, then by halving."""
        wrong, step = 0, 1
        while wrong + step < len(ordered) and self._is_wrong(ordered[wrong + step]):
            wrong, step = wrong + step, step * 2
        fine = min(wrong + step, len(ordered))
        while fine - wrong > 1:
            middle = (wrong + fine) // 2
            wrong, fine = (middle, fine) if self._is_wrong(ordered[middle]) else (wrong, middle)
        return wrong

    def _is_wrong(self, cohort: Cohort) -> bool:
        if cohort not in self._known:
            info = self.pipeline.store.describe()
            assert info is not None
            examination = Examination(self.pipeline, info, self.tolerance)
            examination.compare(self.pipeline.store.fetch(self._members[cohort], vectors=True))
            self.probed += examination.audited
            self.progress("chunks probed", self.probed, None)
            self._known[cohort] = examination.wrong > 0
        return self._known[cohort]


def _time(cohort: Cohort) -> tuple[bool, datetime, str]:
    try:
        return True, datetime.fromisoformat(cohort.written_at), ""
    except ValueError:
        return False, datetime.min, cohort.written_at


def _documents(pipeline: Pipeline, distrust: Distrust) -> list[str]:
    """Return the keys of the documents of our sources that have a distrusted point."""
    names = {source.name for source in pipeline.sources}
    found: set[str] = set()
    for point in pipeline.store.scroll(payload=False):
        labels = labels_of(point.payload, pipeline.layout)
        if labels and distrust.covers(point.id, labels) and labels.document.partition(":")[0] in names:
            found.add(labels.document)
    return sorted(found)
