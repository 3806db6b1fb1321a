"""The encoder descriptor: what an index carries about its encoder, so that an application can check its own.

A few short texts with the query vectors that the index's encoder makes of them, and how far off counts as another
encoder. It lies in the collection's manifest and can be saved as a file; a check needs nothing else.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ragwatch.corpus.identity import Json
from ragwatch.health.levels import Tolerance
from ragwatch.health.pinned_texts import GUARD_TEXTS, PINNED_TEXTS
from ragwatch.health.tolerance import cosine_distances, length_ratios, lengths_differ, read_tolerance, tolerance_json
from ragwatch.index.points import Vectors
from ragwatch.index.spec import Distance, EncoderIdentity

FORMAT = 1

Agreement: TypeAlias = Literal["same", "drifted", "another"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One text and the query vector that the index's encoder makes of it."""

    name: str
    text: str
    direction: str
    """Unit vector, little-endian float16, base64. Rounding it moves it by a distance of about 4e-8."""
    length: float
    """Of the vector as the encoder gave it."""

    @property
    def vector(self) -> Vectors:
        """Return float32 of shape (dimension,), with the recorded length. Raises `ValueError`."""
        try:
            content = base64.b64decode(self.direction, validate=True)
        except binascii.Error as error:
            raise ValueError(f"the vector of {self.name!r} is not base64: {error}") from None
        return np.frombuffer(content, dtype="<f2").astype(np.float32) * np.float32(self.length)


@dataclass(frozen=True, slots=True)
class EncoderDescriptor:
    """What an index says about the encoder of its queries."""

    fingerprint: str
    shape: Mapping[str, Json]
    recorded: Mapping[str, Json]
    distance: Distance
    """How the index measures: under cosine the length of a vector does not matter."""
    tolerance: Tolerance
    references: tuple[Reference, ...]

    @property
    def texts(self) -> list[str]:
        return [reference.text for reference in self.references]

    @property
    def vectors(self) -> Vectors:
        """Return float32 of shape (references, dimension)."""
        return np.stack([reference.vector for reference in self.references])

    def to_json(self) -> dict[str, Json]:
        return {
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "shape": dict(self.shape),
            "recorded": dict(self.recorded),
            "distance": str(self.distance),
            "tolerance": tolerance_json(self.tolerance),
            "references": [
                {"name": r.name, "text": r.text, "direction": r.direction, "length": r.length} for r in self.references
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> "EncoderDescriptor":
        """Read a descriptor, checked to its last number. Raises `ValueError` or `KeyError` where it is not one."""
        if value["format"] != FORMAT:
            raise ValueError(f"its format is {value['format']!r}, this ragwatch knows {FORMAT}: upgrade ragwatch")
        shape, recorded, tolerance, listed = (value[key] for key in ("shape", "recorded", "tolerance", "references"))
        if not (isinstance(shape, dict) and isinstance(recorded, dict) and isinstance(tolerance, dict)):
            raise ValueError("shape, recorded and tolerance must be objects")
        if not isinstance(listed, list) or not listed:
            raise ValueError("it has no reference vectors")
        found = cls(
            fingerprint=str(value["fingerprint"]),
            shape=shape,
            recorded=recorded,
            distance=Distance(str(value["distance"])),
            tolerance=read_tolerance(tolerance),
            references=tuple(map(_reference, listed)),
        )
        vectors = found.vectors
        if not vectors.size or not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
            raise ValueError("a reference vector is empty, zero or not finite")
        return found


def _reference(value: Json) -> Reference:
    if not isinstance(value, dict):
        raise ValueError("a reference is no object")
    return Reference(str(value["name"]), str(value["text"]), str(value["direction"]), float(str(value["length"])))


def guard_texts() -> dict[str, str]:
    """Return the texts of a new descriptor by name."""
    return {name: PINNED_TEXTS[name] for name in GUARD_TEXTS}


def descriptor_of(
    identity: EncoderIdentity, distance: Distance, vectors: Mapping[str, Vectors], tolerance: Tolerance
) -> EncoderDescriptor:
    """Return the descriptor of an encoder that makes these query vectors (by name of pinned text, never zero)."""
    references = []
    for name, vector in vectors.items():
        wide = np.asarray(vector, dtype=np.float64)
        length = float(np.linalg.norm(wide))
        direction = base64.b64encode((wide / length).astype("<f2").tobytes()).decode("ascii")
        references.append(Reference(name, PINNED_TEXTS[name], direction, length))
    return EncoderDescriptor(
        identity.fingerprint, dict(identity.shape), dict(identity.recorded), distance, tolerance, tuple(references)
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the vectors of some encoder stand to a descriptor."""

    state: Agreement
    text: str
    """The text that is farthest off, "" where nothing could be compared."""
    cosine: float
    """Of that text's two vectors; -1 where nothing could be compared."""
    reason: str
    """What differs, in words; "" where nothing does."""


def compare_with(descriptor: EncoderDescriptor, answer: object) -> Comparison:
    """Compare what an encoder made of `descriptor.texts` (anything that numpy reads as rows of numbers)."""
    rows = _rows(answer)
    wanted = descriptor.vectors
    if isinstance(rows, str):
        return Comparison("another", "", -1.0, rows)
    if rows.shape[0] != len(wanted):
        return Comparison("another", "", -1.0, f"{len(wanted)} texts were given, {rows.shape[0]} vectors came back")
    if rows.shape != wanted.shape:
        reason = f"its vectors have {rows.shape[1]} numbers, those of the index {wanted.shape[1]}"
        return Comparison("another", "", -1.0, reason)
    if not np.isfinite(rows).all() or not rows.any(axis=1).all():
        return Comparison("another", "", -1.0, "it gave a vector that is zero, NaN or infinite")
    return _judge(descriptor, wanted, rows)


def _judge(descriptor: EncoderDescriptor, wanted: Vectors, rows: Vectors) -> Comparison:
    distances, tolerance = cosine_distances(wanted, rows), descriptor.tolerance
    worst = int(distances.argmax())
    text, distance = descriptor.references[worst].text, float(distances[worst])
    cosine = 1.0 - distance
    if distance > tolerance.page:
        reason = "its vectors point elsewhere, as those of another model, pooling, prompt or tokenizer do"
        return Comparison("another", text, cosine, reason)
    ratio = max(length_ratios(wanted, rows).tolist(), key=lambda one: abs(one - 1.0))
    if lengths_differ(ratio, tolerance):
        reason = f"its vectors have the right directions and {ratio:.3g} times the length"
        state: Agreement = "drifted" if descriptor.distance is Distance.COSINE else "another"
        return Comparison(state, text, cosine, reason)
    if distance > tolerance.warn:
        return Comparison("drifted", text, cosine, "its vectors are rounded otherwise, as by another precision")
    return Comparison("same", text, cosine, "")


def _rows(answer: object) -> Vectors | str:
    """Return float32 rows, or what is wrong with the answer."""
    try:
        with np.errstate(over="ignore"):
            rows = np.asarray(answer, dtype=np.float32)
    except (TypeError, ValueError, RuntimeError):
        return "it did not answer with rows of numbers, one a text"
    if rows.ndim != 2:
        return f"it answered with {rows.ndim} dimensions instead of one row of numbers a text"
    return rows


def read_descriptors(values: Sequence[Mapping[str, Json] | None]) -> list[EncoderDescriptor]:
    """Return those of the values that are descriptors."""
    found = []
    for value in values:
        try:
            found += [EncoderDescriptor.from_json(value)] if value else []
        except (KeyError, ValueError):
            continue
    return found


def lacks_descriptor(value: Mapping[str, Json] | None) -> bool:
    """Say whether a manifest's descriptor is absent or damaged. One of a newer format is left to newer versions."""
    version = value.get("format") if value else None
    newer = isinstance(version, int) and version > FORMAT
    return not newer and not read_descriptors([value])
