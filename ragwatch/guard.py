"""guard: an application proves at start that its query encoder is the index's encoder.

It needs no state database and no configuration: the collection carries a descriptor, query vectors of a few short
texts, which are compared with what the application's own encoder makes of them.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ragwatch.config.loading import load_config
from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError, EncoderMismatchError, NotFoundError
from ragwatch.health.descriptor import Agreement, Comparison, EncoderDescriptor, compare_with
from ragwatch.index.encoder_diff import value_words
from ragwatch.index.spec import Manifest
from ragwatch.wiring import published_manifest
from ragwatch.words.json_text import parse_json

_SUMMARY = ("model", "weights", "pooling", "normalise", "query_prompt", "max_length", "dimension")
_USAGE = "guard(encode, config=FILE), or url= or path= with collection=, or descriptor=FILE"


@dataclass(frozen=True, slots=True)
class GuardReport:
    """An encoder that passed."""

    index: str
    """What the encoder was compared with: a collection, or a descriptor file."""
    encoder: str
    """Fingerprint of the index's encoder."""
    state: Agreement
    """"same", or "drifted": rounded otherwise, as by another precision of the same weights, and harmless."""
    cosine: float
    """Of the text that is farthest off."""
    reason: str
    """What is different, "" where nothing is."""


def guard(
    encode: Callable[[list[str]], object],
    *,
    config: str | Path | None = None,
    url: str | None = None,
    path: str | Path | None = None,
    collection: str | None = None,
    api_key: str | None = None,
    descriptor: str | Path | Mapping[str, Json] | EncoderDescriptor | None = None,
) -> GuardReport:
    """Return if `encode`, which turns query texts into vectors, is the index's encoder; raise otherwise.

    `encode` gets a list of eight short texts and returns one row of numbers each (lists, or an array): exactly
    as the application encodes queries, prompts included. The index is named by `config` (a ragwatch.toml), by `url`
    (a Qdrant server) or `path` (an embedded index) with `collection` (a name or an alias), or by `descriptor` (what
    `ragwatch encoder show --out FILE` wrote). Reads only, and opens no embedded index.

    Raises `EncoderMismatchError` where the vectors are not the index's, or where the index carries no descriptor;
    `NotFoundError`, `UnreachableError`, `StoreError` and `ConfigError` where it cannot be read at all; all are
    `RagwatchError`s. Whatever `encode` raises goes through. An application that starts in spite of any of them
    searches blindly.
    """
    given = sum(one is not None for one in (config, url, path, descriptor))
    if given != 1 or ((url or path) is not None) != (collection is not None):
        raise ConfigError("guard() needs exactly one place to read the index's encoder from", hint=_USAGE)
    if descriptor is not None:
        known, index = read_descriptor(descriptor), f"descriptor {descriptor if _is_path(descriptor) else 'given'}"
    else:
        name, manifest = _manifest(config, url, path, collection, api_key)
        known, index = descriptor_in(manifest, name), f"collection {name!r}"
    comparison = compare_with(known, encode(list(known.texts)))
    if comparison.state == "another":
        raise mismatch(index, known, comparison)
    return GuardReport(index, known.fingerprint, comparison.state, comparison.cosine, comparison.reason)


def _manifest(
    config: str | Path | None, url: str | None, path: str | Path | None, collection: str | None, api_key: str | None
) -> tuple[str, Manifest | None]:
    if config is not None:
        file = Path(config)
        settings = load_config(file, os.environ)
        return settings.collection, published_manifest(settings, file.absolute().parent)
    from ragwatch.stores import read_manifest

    name = collection or ""
    return name, read_manifest(name, url=url, path=path, api_key=api_key, api_key_name="api_key of guard()")


def descriptor_in(manifest: Manifest | None, collection: str) -> EncoderDescriptor:
    """Return the descriptor that a collection carries. Raises `EncoderMismatchError` where it carries none."""
    value = manifest.descriptor if manifest else None
    problem = "carries no encoder descriptor"
    if value:
        try:
            return EncoderDescriptor.from_json(value)
        except (KeyError, ValueError) as error:
            problem = f"carries an encoder descriptor that cannot be read ({error})"
    raise EncoderMismatchError(
        f"collection {collection!r} {problem}: nothing says which encoder its vectors came from",
        hint="`ragwatch reindex` writes one; for an index that ragwatch only watches, save the configured encoder's "
        "with `ragwatch encoder show --out FILE` and give it as guard(encode, descriptor=FILE)",
    )


def _is_path(descriptor: object) -> bool:
    return isinstance(descriptor, str | Path)


def read_descriptor(place: str | Path | Mapping[str, Json] | EncoderDescriptor) -> EncoderDescriptor:
    """Return a descriptor from its file or JSON value. Raises `NotFoundError` and `ConfigError`."""
    if isinstance(place, EncoderDescriptor):
        return place
    try:
        value = place if isinstance(place, Mapping) else parse_json(Path(place).read_text(encoding="utf-8"))
        return EncoderDescriptor.from_json(value)
    except FileNotFoundError:
        raise NotFoundError(
            f"there is no descriptor file {place}", hint="write one: ragwatch encoder show --out FILE"
        ) from None
    except OSError as error:
        raise ConfigError(f"descriptor file {place} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        named = f"{place} is" if _is_path(place) else "this is"
        raise ConfigError(
            f"{named} not an encoder descriptor: {type(error).__name__}: {error}",
            hint="write one: ragwatch encoder show --out FILE",
        ) from None


def mismatch(index: str, known: EncoderDescriptor, comparison: Comparison) -> EncoderMismatchError:
    """Return the error that says what differs, how far, and what the index was made with."""
    measured = ""
    if comparison.text:
        needed = 1 - known.tolerance.page
        measured = f"; worst for the text {comparison.text!r}: cosine {comparison.cosine:.3f}, {needed:.3f} is needed"
    return EncoderMismatchError(
        f"this encoder is not the one that {index} was made with: {comparison.reason}{measured}. "
        f"The index has {encoder_words(known.shape, known.recorded)}",
        hint="encode queries with the index's encoder and its settings (ragwatch encoder show), "
        "or move the index to the new one: ragwatch migrate plan",
    )


def encoder_words(shape: Mapping[str, Json], recorded: Mapping[str, Json]) -> str:
    """Return an encoder in one line: "model all-MiniLM-L6-v2, pooling mean, …"."""
    merged = {"model": recorded.get("model"), **shape}
    return ", ".join(f"{name} {value_words(name, merged[name])}" for name in _SUMMARY if merged.get(name) is not None)
