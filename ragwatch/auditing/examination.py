"""Comparing stored vectors with what the encoder makes of the stored text, batch by batch."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from ragwatch.auditing.sampling import group_of
from ragwatch.corpus.identity import normalise
from ragwatch.health.attribution import Attribution, Cause, Judgement, attribute, judge, text_variants
from ragwatch.health.audit_findings import AuditedPoint
from ragwatch.health.levels import Tolerance
from ragwatch.health.tolerance import widened
from ragwatch.index.points import StoredPoint, Vectors, labels_of, text_digest_of, text_of
from ragwatch.index.spec import CollectionInfo, Distance
from ragwatch.index.storage import as_stored, storage_distance
from ragwatch.pipeline import Pipeline
from ragwatch.ports import encode_each

PAIRS_KEPT = 400
"""Pairs of each side that the cause is decided from; a complete audit keeps no more."""
POINTS_KEPT = 1000
"""Wrong points that are named."""
VARIANTS = 16
"""Wrong texts that are encoded again with other preprocessing, to find the one that was used."""


@dataclass(frozen=True, eq=False)
class Compared:
    """A point with its text as it is encoded, its stored vector and the fresh one."""

    point: StoredPoint
    text: str
    stored: Vectors
    fresh: Vectors


@dataclass
class Examination:
    """One audit under way: what was compared, and what came of it."""

    pipeline: Pipeline
    info: CollectionInfo
    tolerance: Tolerance
    by: str = ""
    """Field to count by."""
    strata: Collection[str] = ()
    """The values that the sample was drawn by, where it was."""
    audited: int = 0
    wrong: int = 0
    unknown: int = 0
    precise: int = 0
    points: list[AuditedPoint] = field(default_factory=list)
    groups: dict[str, list[int]] = field(default_factory=dict)
    """Value of the field asked for → [audited, wrong, unknown]."""
    _bad: list[Compared] = field(default_factory=list)
    _good: list[Compared] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tolerance = widened(self.tolerance, storage_distance(self.info.datatype))

    def compare(self, batch: Sequence[StoredPoint]) -> None:
        """Encode the stored texts and judge the stored vectors."""
        texts = [text_of(point.payload, self.pipeline.layout) for point in batch]
        wanted = [normalise(text) for text in texts if text is not None]
        rows = iter(self._encoded(wanted))
        for point, text in zip(batch, texts, strict=True):
            row = None if text is None else next(rows)
            group = self.groups.setdefault(self._group(point), [0, 0, 0])
            if row is None or text is None:
                self.unknown += 1
                group[2] += 1
                continue
            self.audited += 1
            group[0] += 1
            group[1] += self._judge(Compared(point, normalise(text), _vector(point), row))

    def _encoded(self, texts: Sequence[str]) -> list[Vectors | None]:
        """Return the row of each text as the store would hold it, None for a text that the encoder refuses."""
        found = encode_each(self.pipeline.encoder, texts)
        return [None if row is None else as_stored(row[None, :], self.info)[0] for row in found.rows]

    def _judge(self, compared: Compared) -> bool:
        judgement = self.judgement(compared)
        self.precise += judgement.cause is Cause.PRECISION
        kept = self._bad if judgement.wrong else self._good
        if len(kept) < PAIRS_KEPT:
            kept.append(compared)
        if judgement.wrong:
            self.wrong += 1
            if len(self.points) < POINTS_KEPT:
                self.points.append(self._audited(compared, judgement))
        return judgement.wrong

    def judgement(self, compared: Compared) -> Judgement:
        if compared.stored.shape != compared.fresh.shape:
            return Judgement(Cause.DEGENERATE, float("nan"), 0.0)
        norms_matter = self.info.distance is not Distance.COSINE
        stored, fresh = compared.stored[None, :], compared.fresh[None, :]
        return judge(stored, fresh, tolerance=self.tolerance, norms_matter=norms_matter)[0]

    def _group(self, point: StoredPoint) -> str:
        return group_of(point, self.by, self.pipeline.layout, self.strata) if self.by else ""

    def _audited(self, compared: Compared, judgement: Judgement) -> AuditedPoint:
        layout, payload = self.pipeline.layout, compared.point.payload
        labels = labels_of(payload, layout)
        usable = judgement.cosine == judgement.cosine
        fact = f"cosine {judgement.cosine:.4f}" if usable else "no usable vector"
        if usable and judgement.cause is Cause.PREPROCESSING:
            fact += f", norm {judgement.norm:.3g}"
        if labels and text_digest_of(payload, layout) != labels.digest:
            fact += ", and the text was changed in place"
        return AuditedPoint(
            id=compared.point.id,
            document=labels.document if labels else "",
            cosine=judgement.cosine,
            cause=judgement.cause,
            fact=fact,
            encoder=labels.encoder if labels else "",
            written_at=labels.written_at if labels else "",
        )

    def cause(self) -> Attribution | None:
        """Name the one cause of the wrong vectors, None where there is none."""
        comparable = [one for one in self._bad if one.stored.shape == one.fresh.shape]
        if not self._bad:
            return None
        if not comparable:
            return Attribution(Cause.DEGENERATE, "the points have no vector of the collection's dimension")
        pairs = [*comparable, *self._good]
        stored, fresh = np.stack([pair.stored for pair in pairs]), np.stack([pair.fresh for pair in pairs])
        tokens = self.pipeline.encoder.count_tokens([pair.text for pair in pairs])
        return attribute(
            stored,
            fresh,
            range(len(comparable)),
            range(len(comparable), len(pairs)),
            tokens=tokens,
            window=self.pipeline.encoder.max_tokens,
            variants=self._variants([pair.text for pair in comparable], tokens),
        )

    def _variants(self, texts: Sequence[str], tokens: Sequence[int]) -> dict[str, Vectors]:
        found = {}
        some = texts[:VARIANTS]
        count = self.pipeline.encoder.count_tokens
        for name, changed in text_variants(some, tokens[: len(some)], count_tokens=count).items():
            rows = self._encoded(changed)
            usable = [row for row in rows if row is not None]
            if len(usable) == len(rows):
                found[name] = np.stack(usable)
        return found


def _vector(point: StoredPoint) -> Vectors:
    return np.zeros(0, np.float32) if point.vector is None else point.vector
