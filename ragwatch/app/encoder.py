"""The questions that `ragwatch encoder` answers: which encoder is it, what differs, is it still the one?"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from ragwatch.app import Settings, load, open_pipeline
from ragwatch.audit import AuditRequest, audit
from ragwatch.auditing.attestation import Attestation, accept, attest
from ragwatch.config.loading import load_encoder
from ragwatch.config.sections import EncoderConfig
from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError, EncoderMismatchError, NotFoundError, RagwatchError
from ragwatch.fencing import changing
from ragwatch.guard import descriptor_in
from ragwatch.health.descriptor import Comparison, EncoderDescriptor, compare_with
from ragwatch.index.encoder_diff import FieldChange, diff_recorded, diff_shapes, verdict
from ragwatch.index.spec import Distance, EncoderIdentity, Manifest
from ragwatch.pipeline import Pipeline, Progress, no_progress
from ragwatch.process import own_name
from ragwatch.published import describe_encoder, republish
from ragwatch.wiring import encoder_of, make_encoder, published_manifest
from ragwatch.words.json_text import parse_json

ACCEPTANCE_SAMPLE = 60
"""Stored vectors that are encoded again before an encoder is published as the index's: none wrong is at most 5 %."""

State: TypeAlias = Literal["same", "drifted", "differs", "unknown"]


@dataclass(frozen=True)
class EncoderOverview:
    """The configured encoder, and what the index says of the one that made it."""

    collection: str
    identity: EncoderIdentity
    manifest: Manifest | None
    problem: str
    """Why the index says nothing, "" where it does."""
    changes: tuple[FieldChange, ...]
    """From the index's encoder to the configured one."""

    def to_json(self) -> dict[str, Json]:
        return {
            "collection": self.collection,
            "fingerprint": self.identity.fingerprint,
            "shape": dict(self.identity.shape),
            "recorded": dict(self.identity.recorded),
            "index": {
                "fingerprint": self.manifest.encoder if self.manifest else None,
                "shape": dict(self.manifest.encoder_shape) if self.manifest else None,
                "has_descriptor": bool(self.manifest and self.manifest.descriptor),
                "problem": self.problem,
                "changes": [change.to_json() for change in self.changes],
            },
        }


def overview(config: Path) -> EncoderOverview:
    """Look at configuration and index. An index that cannot be read is said, not raised."""
    settings = load(config)
    encoder = make_encoder(settings.config, settings.base)
    manifest, problem = None, ""
    try:
        manifest = published_manifest(settings.config, settings.base)
        problem = "" if manifest else "ragwatch did not make this collection: it carries no manifest"
    except RagwatchError as error:
        problem = error.fact
    shape = manifest.encoder_shape if manifest else encoder.identity.shape
    changes = diff_shapes(shape, encoder.identity.shape, distance=settings.config.store.distance)
    return EncoderOverview(settings.config.collection, encoder.identity, manifest, problem, changes)


def save_descriptor(config: Path, out: Path) -> tuple[EncoderDescriptor, bool]:
    """Write the index's descriptor to a file; where it carries none, the configured encoder's, measured now.

    Return it, and whether it is the index's. Raises `ConfigError` where the file cannot be written.
    """
    settings = load(config)
    try:
        descriptor = descriptor_in(published_manifest(settings.config, settings.base), settings.config.collection)
        published = True
    except (EncoderMismatchError, NotFoundError):
        published = False
        with open_pipeline(config, settings=settings) as pipeline:
            descriptor = describe_encoder(pipeline)
    try:
        out.write_text(json.dumps(descriptor.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the descriptor cannot be saved to {out}: {error.strerror}") from None
    return descriptor, published


# --- diff ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KnownEncoder:
    """An encoder, from wherever it is described."""

    name: str
    fingerprint: str
    shape: Mapping[str, Json]
    recorded: Mapping[str, Json]

    def to_json(self) -> dict[str, Json]:
        shape, recorded = dict(self.shape), dict(self.recorded)
        return {"name": self.name, "fingerprint": self.fingerprint, "shape": shape, "recorded": recorded}


@dataclass(frozen=True)
class EncoderDiff:
    """What differs between two encoders."""

    before: KnownEncoder
    after: KnownEncoder
    changes: tuple[FieldChange, ...]
    recorded: tuple[FieldChange, ...]
    verdict: str

    def to_json(self) -> dict[str, Json]:
        return {
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "same": not self.changes,
            "verdict": self.verdict,
            "changes": [change.to_json() for change in self.changes],
            "recorded": [change.to_json() for change in self.recorded],
        }


def diff_encoders(before: str, after: str, config: Path) -> EncoderDiff:
    """Compare two encoders, each `config`, `index`, a descriptor file, a TOML file with [encoder], or a model name.

    `config` is read only where a side needs it. Raises what reading a side raises.
    """
    one, distance = _known(before, config)
    other, also = _known(after, config)
    changes = diff_shapes(one.shape, other.shape, distance=distance or also)
    return EncoderDiff(one, other, changes, diff_recorded(one.recorded, other.recorded), verdict(changes))


def _known(place: str, config: Path) -> tuple[KnownEncoder, Distance | None]:
    if place in ("config", "index"):
        settings = load(config)
        found = (
            _of_index(settings)
            if place == "index"
            else _of(place, make_encoder(settings.config, settings.base).identity)
        )
        return found, settings.config.store.distance
    path = Path(place).expanduser()
    if path.suffix == ".json":
        return _of_file(path), None
    if path.suffix == ".toml":
        return _of(place, encoder_of(load_encoder(path), path.absolute().parent).identity), None
    return _of(place, encoder_of(EncoderConfig(model=place), Path.cwd()).identity), None


def _of(name: str, identity: EncoderIdentity) -> KnownEncoder:
    return KnownEncoder(name, identity.fingerprint, identity.shape, identity.recorded)


def _of_index(settings: Settings) -> KnownEncoder:
    collection = settings.config.collection
    manifest = published_manifest(settings.config, settings.base)
    if manifest is None or not manifest.encoder_shape:
        raise NotFoundError(
            f"collection {collection!r} does not say which encoder made it", hint="ragwatch audit compares its vectors"
        )
    try:
        recorded = descriptor_in(manifest, collection).recorded
    except EncoderMismatchError:
        recorded = {}
    return KnownEncoder("index", manifest.encoder, manifest.encoder_shape, recorded)


def _of_file(path: Path) -> KnownEncoder:
    """Read what `encoder show --out` or `encoder show --json` wrote."""
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
        shape, recorded = value["shape"], value.get("recorded", {})
        if not (isinstance(shape, dict) and isinstance(recorded, dict)):
            raise ValueError("shape and recorded must be objects")
        return KnownEncoder(str(path), str(value["fingerprint"]), shape, recorded)
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}", hint="write one: ragwatch encoder show --out FILE") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} describes no encoder: {type(error).__name__}: {error}",
            hint="write one: ragwatch encoder show --out FILE",
        ) from None


# --- check ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What it came to that the encoder was taken for the reference as it is."""

    audited: int
    """Stored vectors that were encoded again."""
    wrong: int
    """Those among them that this encoder does not make, or that could not be checked."""
    published: bool
    """The collection got a new descriptor; only where none was wrong, or applications would be told a lie."""

    def to_json(self) -> dict[str, Json]:
        return {"audited": self.audited, "wrong": self.wrong, "published": self.published}


@dataclass(frozen=True)
class EncoderCheck:
    """Whether the configured encoder is the index's, and still the one that it was."""

    collection: str
    encoder: str
    changes: tuple[FieldChange, ...]
    """From the index's settings to the configured ones."""
    queries: Comparison | None
    """Its query vectors against the index's descriptor; None where there is none."""
    problem: str
    """Why the index says nothing of its encoder, "" where it does."""
    pinned: Attestation
    acceptance: "Acceptance | None" = None

    @property
    def state(self) -> State:
        """The worst of the three answers; what was accepted no longer counts."""
        measured = {self.queries.state} if self.queries else set()
        measured |= set() if self.acceptance else {"same" if self.pinned.state == "first use" else self.pinned.state}
        if self.changes or "another" in measured:
            return "differs"
        if self.queries is None:
            return "unknown"
        return "drifted" if "drifted" in measured else "same"

    def to_json(self) -> dict[str, Json]:
        queries = self.queries
        return {
            "state": self.state,
            "collection": self.collection,
            "encoder": self.encoder,
            "changes": [change.to_json() for change in self.changes],
            "queries": {
                "state": queries.state,
                "text": queries.text,
                "cosine": queries.cosine,
                "reason": queries.reason,
            }
            if queries
            else None,
            "problem": self.problem,
            "pinned": self.pinned.to_json(),
            "accepted": self.acceptance.to_json() if self.acceptance else None,
        }


def check_encoder(config: Path, *, accepting: bool = False, progress: Progress = no_progress) -> EncoderCheck:
    """Compare the configured encoder with the index's descriptor and with its own pinned reference.

    With `accepting`, the reference is taken anew from the encoder as it is, and so is the descriptor, if a sample of
    stored vectors is this encoder's. Without, nothing is written but a first reference, to the state, and no
    embedded index is opened. Raises `NotFoundError` where there is no collection, and with `accepting`
    `LeaseHeldError` where another process changes it.
    """
    settings = load(config)
    with open_pipeline(config, settings=settings, writing=accepting) as pipeline:
        manifest = published_manifest(settings.config, settings.base)
        if not accepting:
            return _checked(pipeline, manifest, attest(pipeline, progress=progress))
        with changing(pipeline, own_name()) as alone:
            pinned = accept(alone, progress=progress)
            acceptance = _accepted(alone, progress)
        if acceptance.published:
            manifest = published_manifest(settings.config, settings.base)
        return _checked(pipeline, manifest, pinned, acceptance)


def _accepted(pipeline: Pipeline, progress: Progress) -> Acceptance:
    try:
        found = audit(pipeline, AuditRequest(size=ACCEPTANCE_SAMPLE), progress=progress)
    except NotFoundError:
        # An empty collection holds nothing that could contradict its descriptor.
        return Acceptance(0, 0, republish(pipeline))
    wrong = found.wrong + found.unknown
    return Acceptance(found.audited, wrong, not wrong and republish(pipeline))


def _checked(
    pipeline: Pipeline, manifest: Manifest | None, pinned: Attestation, acceptance: Acceptance | None = None
) -> EncoderCheck:
    identity = pipeline.encoder.identity
    shape = manifest.encoder_shape if manifest else identity.shape
    queries, problem = None, ""
    try:
        descriptor = descriptor_in(manifest, pipeline.collection)
        queries = compare_with(descriptor, pipeline.encoder.encode(descriptor.texts, kind="query"))
    except EncoderMismatchError as error:
        problem = error.fact
    changes = diff_shapes(shape, identity.shape, distance=pipeline.distance)
    return EncoderCheck(pipeline.collection, identity.fingerprint, changes, queries, problem, pinned, acceptance)
