"""attest: is the encoder still the one that it was, whatever its name says? Pinned texts, measured.

A provider changes the weights behind a name, a runtime upgrade changes the arithmetic, a fallback answers noise of
the right width. The reference is what the encoder made of the pinned texts when it was first seen, kept in the state
by the encoder's fingerprint. It is replaced only by `accept`, which records that it did.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal, TypeAlias

import numpy as np

from ragwatch.auditing.calibration import Measured, encode_texts, measure
from ragwatch.corpus.identity import Json, digest_text
from ragwatch.errors import EncoderError, OvertakenError, StateError
from ragwatch.health.levels import Tolerance
from ragwatch.health.pinned_texts import PINNED_TEXTS, PINNED_VERSION
from ragwatch.health.tolerance import cosine_distances, length_ratios, lengths_differ, read_tolerance, tolerance_json
from ragwatch.index.encoder_diff import FieldChange, diff_recorded
from ragwatch.index.points import Vectors
from ragwatch.index.spec import Distance
from ragwatch.pipeline import Pipeline, Progress, no_progress
from ragwatch.ports import Note

KIND = "pinned"
"""Kind of the state's notes that hold references; their key is the encoder's fingerprint."""

Verdict: TypeAlias = Literal["first use", "same", "drifted", "another"]


@dataclass(frozen=True, slots=True)
class PinnedDistance:
    """What became of one pinned text."""

    name: str
    distance: float
    """1 - cosine to the reference; at first use to its own repetitions."""
    length_ratio: float = 1.0
    """Length of the vector now, divided by its length in the reference."""

    def to_json(self) -> dict[str, Json]:
        return {"name": self.name, "distance": self.distance, "length_ratio": self.length_ratio}


@dataclass(frozen=True, slots=True)
class Attestation:
    """Whether the configured encoder is still the one that its reference was taken from."""

    encoder: str
    """Fingerprint."""
    state: Verdict
    """"first use": the reference was written just now. "same": within noise. "drifted": beyond noise, not beyond
    another precision of the same weights. "another": stored vectors and new ones do not belong together."""
    tolerance: Tolerance
    texts: tuple[PinnedDistance, ...]
    """Farthest first; never empty."""
    reference_from: datetime
    refused: tuple[str, ...] = ()
    """Names of the texts that the encoder refuses (longer than an endpoint's limit)."""
    newly_refused: tuple[str, ...] = ()
    """Those among them that the reference has a vector of."""
    lengths_changed: bool = False
    versions: tuple[FieldChange, ...] = ()
    """Recorded library versions that are not those of the reference."""

    @property
    def worst(self) -> PinnedDistance:
        return self.texts[0]

    def to_json(self) -> dict[str, Json]:
        return {
            "encoder": self.encoder,
            "state": self.state,
            "tolerance": tolerance_json(self.tolerance),
            "worst": self.worst.to_json(),
            "texts": [text.to_json() for text in self.texts],
            "reference_from": self.reference_from.isoformat(),
            "refused": list(self.refused),
            "newly_refused": list(self.newly_refused),
            "lengths_changed": self.lengths_changed,
            "versions": [change.to_json() for change in self.versions],
        }


def attest(pipeline: Pipeline, *, progress: Progress = no_progress) -> Attestation:
    """Encode the pinned texts and compare them with the reference; take the reference where there is none.

    Writes nothing but that first reference, to the state. Raises `EncoderError` where the encoder gives no stable
    vectors or refuses most texts, `StateError` for a reference that cannot be read, and what the ports raise.
    """
    note = pipeline.state.note(KIND, pipeline.encoder.identity.fingerprint)
    if note is None:
        first = _Reference.take(pipeline, progress)
        try:
            first.write(pipeline, expected=0)
        except OvertakenError:
            # Two processes met a new encoder at once; the other's reference stands.
            note = pipeline.state.note(KIND, pipeline.encoder.identity.fingerprint)
            if note is None:
                raise
        else:
            return first.attestation(pipeline.encoder.identity.fingerprint, pipeline.clock())
    return _compare(pipeline, note, progress)


def accept(pipeline: Pipeline, *, progress: Progress = no_progress) -> Attestation:
    """Take the encoder as it is now for the reference, and return how far it was from the old one.

    The note keeps when this happened and what was accepted. Raises like `attest`.
    """
    fingerprint = pipeline.encoder.identity.fingerprint
    note = pipeline.state.note(KIND, fingerprint)
    if note is None:
        return attest(pipeline, progress=progress)
    taken = _Reference.take(pipeline, progress)
    try:
        before = _compare(pipeline, note, progress)
    except StateError:
        before = taken.attestation(fingerprint, pipeline.clock())
    entry: dict[str, Json] = {
        "at": pipeline.clock().isoformat(),
        "state": before.state,
        "worst": before.worst.to_json(),
        "versions": [change.words for change in before.versions],
    }
    earlier = note.value.get("accepted")
    taken.write(pipeline, expected=note.version, accepted=[*(earlier if isinstance(earlier, list) else []), entry])
    return before


def _compare(pipeline: Pipeline, note: Note, progress: Progress) -> Attestation:
    known = _Reference.read(note)
    reference = known.measured.vectors
    now, refused = encode_texts(PINNED_TEXTS, partial(pipeline.encoder.encode, kind="passage"), progress)
    names = [name for name in PINNED_TEXTS if name in reference and name in now]
    if not names:
        raise EncoderError("the encoder refuses every pinned text that the reference holds")
    distances, ratios = _distances([reference[name] for name in names], [now[name] for name in names])
    texts = _sorted(map(PinnedDistance, names, distances, ratios))
    tolerance = known.measured.tolerance
    lengths_changed = any(lengths_differ(text.length_ratio, tolerance) for text in texts)
    newly_refused = tuple(name for name in refused if name in reference)
    return Attestation(
        encoder=pipeline.encoder.identity.fingerprint,
        state=_state(pipeline.distance, texts[0], tolerance, changed=lengths_changed or bool(newly_refused)),
        tolerance=tolerance,
        texts=texts,
        reference_from=note.written,
        refused=refused,
        newly_refused=newly_refused,
        lengths_changed=lengths_changed,
        versions=diff_recorded(known.recorded, pipeline.encoder.identity.recorded),
    )


def _state(distance: Distance, worst: PinnedDistance, tolerance: Tolerance, *, changed: bool) -> Verdict:
    """Judge the worst text. `changed`: lengths moved, which cosine distance does not see, or a text is refused."""
    lengths_matter = distance is not Distance.COSINE and lengths_differ(worst.length_ratio, tolerance)
    if worst.distance > tolerance.page or lengths_matter:
        return "another"
    return "drifted" if worst.distance > tolerance.warn or changed else "same"


def _distances(before: Sequence[Vectors], after: Sequence[Vectors]) -> tuple[list[float], list[float]]:
    if before[0].shape != after[0].shape:
        # Nothing to compare: as far apart as unit vectors can be.
        return [2.0] * len(before), [1.0] * len(before)
    rows = np.stack(before), np.stack(after)
    return cosine_distances(*rows).tolist(), length_ratios(*rows).tolist()


def _sorted(texts: Iterable[PinnedDistance]) -> tuple[PinnedDistance, ...]:
    return tuple(sorted(texts, key=lambda text: (-text.distance, -abs(text.length_ratio - 1.0), text.name)))


# --- the reference -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reference:
    """What an encoder made of the pinned texts, with the tolerance that it was calibrated to."""

    measured: Measured
    recorded: Mapping[str, Json]

    @classmethod
    def take(cls, pipeline: Pipeline, progress: Progress) -> "_Reference":
        precision = str(pipeline.encoder.identity.shape.get("precision", ""))
        encode = partial(pipeline.encoder.encode, kind="passage")
        found = measure(PINNED_TEXTS, encode, precision=precision, progress=progress)
        # An endpoint knows the names of the models that it serves only after it has answered.
        return cls(found, pipeline.encoder.identity.recorded)

    def attestation(self, fingerprint: str, now: datetime) -> Attestation:
        found = self.measured
        texts = _sorted(map(PinnedDistance, found.noise, found.noise.values()))
        return Attestation(fingerprint, "first use", found.tolerance, texts, now, found.refused)

    def write(self, pipeline: Pipeline, *, expected: int, accepted: Sequence[Json] = ()) -> None:
        identity = pipeline.encoder.identity
        value: dict[str, Json] = {
            "version": PINNED_VERSION,
            "shape": dict(identity.shape),
            "recorded": dict(self.recorded),
            "tolerance": tolerance_json(self.measured.tolerance),
            "vectors": {name: _packed(name, vector) for name, vector in self.measured.vectors.items()},
            "accepted": list(accepted),
        }
        pipeline.state.write_note(KIND, identity.fingerprint, value, pipeline.clock(), expected=expected)

    @classmethod
    def read(cls, note: Note) -> "_Reference":
        """Read a reference; texts that are not pinned any more are left out. Raises `StateError`."""
        try:
            stored, tolerance, recorded = (note.value[key] for key in ("vectors", "tolerance", "recorded"))
            if not (isinstance(stored, dict) and isinstance(tolerance, dict) and isinstance(recorded, dict)):
                raise TypeError("a part of it is no object")
            vectors = {name: _unpacked(name, packed) for name, packed in stored.items() if name in PINNED_TEXTS}
            return cls(Measured(vectors, (), read_tolerance(tolerance), {}), recorded)
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise StateError(
                f"the reference vectors of encoder {note.key} in the state database cannot be read: {error}",
                hint="take a new reference: ragwatch encoder check --accept",
            ) from None


def _packed(name: str, vector: Vectors) -> dict[str, Json]:
    content = np.ascontiguousarray(vector, dtype="<f4").tobytes()
    return {"text": digest_text(PINNED_TEXTS[name]), "vector": base64.b64encode(content).decode("ascii")}


def _unpacked(name: str, packed: Json) -> Vectors:
    if not isinstance(packed, dict) or packed.get("text") != digest_text(PINNED_TEXTS[name]):
        raise ValueError(f"the text {name!r} is another one")
    return np.frombuffer(base64.b64decode(str(packed["vector"]), validate=True), dtype="<f4")
