"""Identity by content: normalisation, digests, point ids and document revisions.

Clocks decide nothing here. Two texts are the same text when their normalised forms are equal; a chunk is
the same chunk when its document, its text and its occurrence among equal texts of that document are the same.
"""

import hashlib
import json
import unicodedata
import uuid
from collections.abc import Mapping
from typing import TypeAlias

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

POINT_NAMESPACE = uuid.UUID("4be0643f-1d98-573b-97cd-ca98a65347dd")
"""Namespace of all point ids (RFC 9562 section 5.5, UUID version 5). Changing it re-creates every index."""

DIGEST_HEX = 32
"""Hex digits kept of a SHA-256 digest: 128 bits, collision-safe far beyond any corpus size."""


def normalise(text: str) -> str:
    """Return `text` in Unicode NFC with every run of white space as one space, stripped at both ends.

    This is the text that is digested *and* the text that is encoded, so a vector is a function of the
    digest: re-wrapped lines or changed indentation move neither.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def digest_bytes(content: bytes) -> str:
    """Return the first `DIGEST_HEX` hex digits of the SHA-256 of `content`."""
    return hashlib.sha256(content).hexdigest()[:DIGEST_HEX]


def digest_text(text: str) -> str:
    """Return the digest of the normalised text. Equal exactly when the normalised texts are equal."""
    return digest_bytes(normalise(text).encode("utf-8", "surrogatepass"))


def canonical_json(value: Mapping[str, Json] | list[Json]) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_json(value: Mapping[str, Json] | list[Json]) -> str:
    """Return the digest of a JSON value, independent of key order."""
    return digest_bytes(canonical_json(value).encode("utf-8", "surrogatepass"))


def point_id(document: str, text_digest: str, occurrence: int) -> str:
    """Return the point id of a chunk: UUIDv5 of (document key, text digest, occurrence).

    `occurrence` counts equal texts inside one document from 0, in reading order. A chunk's position takes
    no part, so text inserted above moves no id below it.
    """
    return str(uuid.uuid5(POINT_NAMESPACE, f"{document}\x00{text_digest}\x00{occurrence}"))
