"""audit: are the stored vectors what the encoder makes of the stored text? Read-only.

A random sample of what is stored is encoded again as the pipeline would encode it. None wrong of 300 proves that at
most 1 % of the index is wrong; the report gives that bound, not an adjective. No record is trusted: neither the
labels of a point nor the index's manifest say what a vector is, only its text and the encoder do.
"""

import time
from dataclasses import dataclass, field, replace

from ragwatch.auditing.attestation import Attestation, attest
from ragwatch.auditing.examination import Examination
from ragwatch.auditing.sampling import Sample, Slice, draw_sample, every_point
from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError, RefusedError
from ragwatch.health.attribution import Attribution, Cause
from ragwatch.health.audit_findings import AuditedPoint, audit_findings
from ragwatch.health.bounds import (
    Estimate,
    Stratum,
    interval,
    sample_size,
    sequential_interval,
    stratified,
    upper_bound,
)
from ragwatch.health.findings import Finding, Severity, Status
from ragwatch.index.balance import Level
from ragwatch.index.spec import CollectionInfo
from ragwatch.pipeline import Pipeline, Progress, batched, no_progress
from ragwatch.recording import recording_failure

BATCH = 64
DEFAULT_BOUND = 0.01
LEAST_CONFIDENCE = 1e-9


@dataclass(frozen=True)
class AuditRequest:
    """What to audit and how surely; the default proves 1 % at 95 %."""

    size: int = 300
    everything: bool = False
    part: Slice = field(default_factory=Slice)
    by: str = ""
    """Field to stratify and to report by; `encoder` and `source` are drawn from value by value."""
    bound: float | None = None
    """Share wrong that is to be proved or refuted; gives the size of the sample."""
    sequential: bool = False
    """Stop as soon as `bound` (1 % where it is not given) is proved or refuted."""
    confidence: float = 0.95


@dataclass(frozen=True)
class Group:
    """The audited points that share one value of the field asked for."""

    name: str
    population: int | None
    audited: int
    wrong: int
    upper: float


@dataclass(frozen=True)
class AuditReport:
    """The outcome of one audit; text, JSON and exit code are made of it."""

    run: str
    collection: str
    population: int | None
    """Points of the slice; None where it was not counted."""
    audited: int
    wrong: int
    unknown: int
    """Points that could not be checked; the bound counts them as wrong."""
    precise: int
    """Points whose vector differs by rounding alone."""
    estimate: Estimate
    """Share wrong with its two-sided interval."""
    upper: float
    """At most this share of the slice is wrong, at `confidence`."""
    confidence: float
    groups: tuple[Group, ...]
    attestation: Attestation
    cause: Attribution | None
    points: tuple[AuditedPoint, ...]
    """The wrong ones, farthest first."""
    complete: bool
    """Every point of the slice was audited."""
    part: Slice
    stopped: str
    """Why a sequential audit stopped before its sample was used up, "" where it did not."""
    findings: tuple[Finding, ...]
    elapsed_s: float

    @property
    def status(self) -> Status:
        if any(finding.severity >= Severity.WARNING for finding in self.findings):
            return Status.DEGRADED
        return Status.UNKNOWN if self.unknown or not self.audited else Status.HEALTHY

    def to_json(self) -> dict[str, Json]:
        return {
            "run": self.run,
            "collection": self.collection,
            "level": str(Level.ATTESTED),
            "status": str(self.status),
            "slice": str(self.part),
            "population": self.population,
            "audited": self.audited,
            "wrong": self.wrong,
            "unknown": self.unknown,
            "precision": self.precise,
            "complete": self.complete,
            "share": self.estimate.share,
            "interval": [self.estimate.low, self.estimate.high],
            "upper": self.upper,
            "confidence": self.confidence,
            "stopped": self.stopped,
            "groups": [
                {"name": g.name, "population": g.population, "audited": g.audited, "wrong": g.wrong, "upper": g.upper}
                for g in self.groups
            ],
            "encoder": self.attestation.to_json(),
            "cause": _cause_json(self.cause),
            "points": [point.to_json() for point in self.points],
            "findings": [finding.to_json() for finding in self.findings],
            "elapsed_s": round(self.elapsed_s, 3),
        }


def audit(pipeline: Pipeline, request: AuditRequest | None = None, *, progress: Progress = no_progress) -> AuditReport:
    """Audit, record the run and its findings, and return the report. Writes nothing to the collection.

    Raises `NotFoundError` where there is no collection, no point, or none in the slice, and what the ports raise.
    """
    run = pipeline.state.start_run("audit", pipeline.collection, pipeline.clock())
    with recording_failure(pipeline.state, run, pipeline.clock):
        report = _audit(pipeline, request or AuditRequest(), run, progress)
        pipeline.state.record_findings(run, (finding.to_json() for finding in report.findings))
    summary = {key: value for key, value in report.to_json().items() if key != "findings"}
    summary["found"] = len(report.findings)
    pipeline.state.finish_run(run, "incomplete" if report.unknown else "done", summary, pipeline.clock())
    return report


def _cause_json(cause: Attribution | None) -> Json:
    if cause is None:
        return None
    return {"cause": str(cause.cause), "detail": cause.detail, "evidence": dict(cause.evidence)}


def _audit(pipeline: Pipeline, request: AuditRequest, run: str, progress: Progress) -> AuditReport:
    started = time.monotonic()
    info = pipeline.store.describe()
    if info is None or not info.points:
        raise NotFoundError(f"collection {pipeline.collection!r} holds nothing to audit", hint="ragwatch reindex")
    if info.dimension != pipeline.encoder.dimension:
        raise RefusedError(
            f"the vectors of {info.name} have {info.dimension} dimensions, the configured encoder makes "
            f"{pipeline.encoder.dimension}: none can be compared",
            hint="set the encoder back, or move the index to the new one: ragwatch migrate plan",
        )
    sample = _sample(pipeline, request, info)
    attestation = attest(pipeline, progress=progress)
    examination = Examination(pipeline, info, attestation.tolerance, request.by, sample.strata)
    stopped = ""
    for batch in batched(sample.points, BATCH):
        examination.compare(batch)
        progress("chunks audited", examination.audited + examination.unknown, sample.size)
        if request.sequential and (stopped := _decided(examination, request, sample.population)):
            break
    summed = _Sum(examination, request, sample, attestation, stopped)
    return summed.report(run, time.monotonic() - started)


def _sample(pipeline: Pipeline, request: AuditRequest, info: CollectionInfo) -> Sample:
    if request.everything:
        return every_point(pipeline.store, pipeline.layout, request.part)
    size = request.size
    if request.bound is not None:
        population = info.points if request.part.whole else None
        size = sample_size(request.bound, confidence=request.confidence, population=population)
        if request.sequential:
            # A bound that holds at every look needs more when it comes out clean; the sample is the most it may take.
            size = min(3 * size, population or 3 * size)
    return draw_sample(pipeline.store, pipeline.layout, size, part=request.part, by=request.by)


def _decided(examination: Examination, request: AuditRequest, population: int | None) -> str:
    """Say what is proved already, "" where nothing is."""
    bound, n = request.bound or DEFAULT_BOUND, examination.audited + examination.unknown
    at_most = examination.wrong + examination.unknown
    if sequential_interval(at_most, n, confidence=request.confidence, population=population).high <= bound:
        return f"proved after {n} chunks: at most {bound:.2%} wrong"
    at_least = sequential_interval(examination.wrong, n, confidence=request.confidence, population=population).low
    return f"refuted after {n} chunks: more than {bound:.2%} wrong" if at_least > bound else ""


@dataclass(frozen=True)
class _Sum:
    """From what was examined to what it proves. A point that could not be checked counts as wrong in every bound."""

    examination: Examination
    request: AuditRequest
    sample: Sample
    attestation: Attestation
    stopped: str

    @property
    def _seen(self) -> int:
        return self.examination.audited + self.examination.unknown

    @property
    def _population(self) -> int | None:
        return self._seen if self.request.everything else self.sample.population

    def report(self, run: str, elapsed: float) -> AuditReport:
        found, request = self.examination, self.request
        cause = found.cause()
        farthest_first = sorted(found.points, key=lambda point: (point.cosine == point.cosine, point.cosine))
        points = tuple(_explained(point, cause) for point in farthest_first)
        collection = found.pipeline.collection
        return AuditReport(
            run=run,
            collection=collection,
            population=self._population,
            audited=found.audited,
            wrong=found.wrong,
            unknown=found.unknown,
            precise=found.precise,
            estimate=self._estimate(),
            upper=self._upper(),
            confidence=request.confidence,
            groups=self._groups(),
            attestation=self.attestation,
            cause=cause,
            points=points,
            complete=request.everything,
            part=request.part,
            stopped=self.stopped,
            findings=tuple(audit_findings(collection, points, _changed(self.attestation))),
            elapsed_s=elapsed,
        )

    def _upper(self) -> float:
        at_most, confidence = self.examination.wrong + self.examination.unknown, self.request.confidence
        if self.request.sequential:
            return sequential_interval(at_most, self._seen, confidence=confidence, population=self._population).high
        if self.sample.strata:
            # One side of a two-sided interval at twice the error; of less than all of it.
            return stratified(self._strata(), confidence=max(1 - 2 * (1 - confidence), LEAST_CONFIDENCE)).high
        return upper_bound(at_most, self._seen, confidence=confidence, population=self._population)

    def _estimate(self) -> Estimate:
        confidence, population = self.request.confidence, self._population
        if self.sample.strata and not self.request.sequential:
            return stratified(self._strata(), confidence=confidence)
        wrong, at_most = self.examination.wrong, self.examination.wrong + self.examination.unknown
        find = sequential_interval if self.request.sequential else interval
        low = find(wrong, self._seen, confidence=confidence, population=population).low
        high = find(at_most, self._seen, confidence=confidence, population=population).high
        return Estimate(wrong / self._seen if self._seen else 0.0, low, high)

    def _strata(self) -> list[Stratum]:
        counted = self.examination.groups
        found = []
        for name, population in self.sample.strata.items():
            audited, wrong, unknown = counted.get(name, [0, 0, 0])
            found.append(Stratum(name, max(population, audited + unknown), audited + unknown, wrong + unknown))
        return found

    def _groups(self) -> tuple[Group, ...]:
        if not self.request.by:
            return ()
        found = []
        for name, (audited, wrong, unknown) in sorted(self.examination.groups.items()):
            population = self.sample.strata.get(name)
            n = audited + unknown
            upper = upper_bound(
                wrong + unknown,
                n,
                confidence=self.request.confidence,
                population=None if population is None else max(population, n),
            )
            found.append(Group(name or f"without {self.request.by}", population, n, wrong, upper))
        return tuple(found)


def _explained(point: AuditedPoint, cause: Attribution | None) -> AuditedPoint:
    """Give a point that is wrong, and says no more by itself, the cause of its group."""
    return replace(point, cause=cause.cause) if cause and point.cause is Cause.UNEXPLAINED else point


def _changed(attestation: Attestation) -> str:
    """Say in what way the encoder itself is not what it was, "" where it is."""
    if attestation.state != "another":
        return ""
    worst = attestation.worst
    return (
        f"encoder {attestation.encoder} no longer gives the vectors that it gave on "
        f"{attestation.reference_from:%Y-%m-%d}: pinned text {worst.name!r} has moved by {worst.distance:.4f} "
        f"(1 - cosine; {attestation.tolerance.page:.4f} is the limit)"
    )
