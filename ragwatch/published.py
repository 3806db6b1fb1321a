"""The manifest as it is published in a collection: with the descriptor that lets applications check their encoder."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from ragwatch.auditing.calibration import measure
from ragwatch.corpus.identity import Json
from ragwatch.errors import OvertakenError
from ragwatch.health.descriptor import EncoderDescriptor, descriptor_of, guard_texts, read_descriptors
from ragwatch.index.spec import Manifest
from ragwatch.pipeline import Pipeline

KIND = "descriptor"
"""Kind of the state's notes that hold the newest descriptor of an encoder; their key is its fingerprint."""


def new_manifest(pipeline: Pipeline) -> Manifest:
    """Return the manifest of a collection that is about to be filled by the encoder as it is today.

    Encodes a few short texts as queries. Raises `EncoderError` where the encoder has no stable vectors, and what
    it raises itself.
    """
    return replace(pipeline.manifest, descriptor=describe_encoder(pipeline).to_json())


def mended_manifest(pipeline: Pipeline, current: Manifest | None) -> Manifest:
    """Return the manifest of a collection that keeps its vectors.

    Takes the descriptor that the collection has, or the one that is remembered: what the encoder makes today need
    not be what made the vectors. Encodes only where there is neither. Raises like `new_manifest`.
    """
    fingerprint = pipeline.encoder.identity.fingerprint
    note = pipeline.state.note(KIND, fingerprint)
    candidates = read_descriptors([current.descriptor if current else None, note.value if note else None])
    for found in candidates:
        if found.fingerprint == fingerprint:
            described = replace(found, distance=pipeline.distance)
            return replace(pipeline.manifest, descriptor=described.to_json())
    return new_manifest(pipeline)


def republish(pipeline: Pipeline) -> bool:
    """Measure the encoder anew and put its descriptor into the collection, if that was made by this encoder.

    Return whether it was. The store must have been opened for writing.
    """
    info = pipeline.store.describe()
    if info is None or info.manifest is None or info.manifest.encoder != pipeline.encoder.identity.fingerprint:
        return False
    descriptor = describe_encoder(pipeline).to_json()
    pipeline.store.write_manifest(replace(info.manifest, descriptor=descriptor))
    return True


def describe_encoder(pipeline: Pipeline) -> EncoderDescriptor:
    """Measure the configured encoder on the guard's texts, remember the descriptor in the state, and return it."""
    precision = str(pipeline.encoder.identity.shape.get("precision", ""))
    found = measure(guard_texts(), partial(pipeline.encoder.encode, kind="query"), precision=precision)
    made = descriptor_of(pipeline.encoder.identity, pipeline.distance, found.vectors, found.tolerance)
    _remember(pipeline, made.to_json())
    return made


def _remember(pipeline: Pipeline, value: Mapping[str, Json]) -> None:
    key = str(value["fingerprint"])
    note = pipeline.state.note(KIND, key)
    try:
        pipeline.state.write_note(KIND, key, value, pipeline.clock(), expected=note.version if note else 0)
    except OvertakenError:
        # Another process has just remembered the same encoder; a note is a cache.
        return
