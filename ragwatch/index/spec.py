"""The configuration that shapes an index, and the manifest an index carries about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ragwatch.corpus.identity import Json, digest_json

SCHEMA_VERSION = 1
"""Version of ragwatch's own payload fields. A collection of a newer version is refused, never guessed at."""

LABEL_HEX = 16
"""Hex digits of a fingerprint that are kept as its label in payloads and on screens."""


class Layout(StrEnum):
    """Whose payload shape the points have, so that existing readers keep working."""

    PLAIN = "plain"
    LANGCHAIN = "langchain"
    HAYSTACK = "haystack"


class Distance(StrEnum):
    """Qdrant's distance functions."""

    COSINE = "cosine"
    DOT = "dot"
    EUCLID = "euclid"
    MANHATTAN = "manhattan"


class Fusion(StrEnum):
    """How two result lists become one, in Qdrant's words and with its constants."""

    RRF = "rrf"
    """Reciprocal rank fusion: Cormack, Clarke and Büttcher (2009), with Qdrant's k of 2."""
    DBSF = "dbsf"
    """Distribution-based score fusion: scores between three standard deviations around their mean, added."""


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """Which encoder: every setting that shapes its vectors, and what is only recorded beside them.

    `shape` decides the fingerprint (weights digest or served model name, pooling, normalisation, prompts,
    maximum length, output dimension, precision, backend). `recorded` (library versions) does not.
    """

    shape: Mapping[str, Json]
    recorded: Mapping[str, Json] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return digest_json(dict(self.shape))[:LABEL_HEX]


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """Everything besides the corpus that decides what the index holds."""

    encoder: str
    chunker: str
    dimension: int
    distance: Distance
    layout: Layout = Layout.PLAIN
    vector_name: str = ""
    schema: int = SCHEMA_VERSION

    @property
    def fingerprint(self) -> str:
        """Digest of all fields: two indexes with equal fingerprints and equal corpora are equal."""
        return digest_json(
            {
                "encoder": self.encoder,
                "chunker": self.chunker,
                "dimension": self.dimension,
                "distance": str(self.distance),
                "layout": str(self.layout),
                "vector_name": self.vector_name,
                "schema": self.schema,
            }
        )[:LABEL_HEX]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a collection says about itself; kept in the collection, so it outlives our state database."""

    encoder: str
    chunker: str
    layout: Layout
    schema: int
    encoder_shape: Mapping[str, Json] = field(default_factory=dict)
    descriptor: Mapping[str, Json] | None = field(default=None, compare=False)
    """Reference vectors for applications (`ragwatch.health.descriptor`). No part of equality: floats have noise."""

    def to_json(self) -> dict[str, Json]:
        described: dict[str, Json] = {"descriptor": dict(self.descriptor)} if self.descriptor else {}
        return {
            "encoder": self.encoder,
            "chunker": self.chunker,
            "layout": str(self.layout),
            "schema": self.schema,
            "encoder_shape": dict(self.encoder_shape),
            **described,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> "Manifest":
        """Read a manifest. Raises `ValueError` or `KeyError` where it is not one."""
        shape, descriptor = value.get("encoder_shape"), value.get("descriptor")
        schema = value["schema"]
        if not isinstance(schema, int):
            raise ValueError(f"manifest schema is {schema!r}, not a number")
        return cls(
            encoder=str(value["encoder"]),
            chunker=str(value["chunker"]),
            layout=Layout(str(value["layout"])),
            schema=schema,
            encoder_shape=shape if isinstance(shape, dict) else {},
            descriptor=descriptor if isinstance(descriptor, dict) else None,
        )


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What a collection is. `name` is the real collection behind an alias."""

    name: str
    dimension: int
    distance: Distance
    points: int
    manifest: Manifest | None
    indexed_keys: frozenset[str] = field(default_factory=frozenset)
    datatype: str = "float32"
    """How the store keeps the numbers of a vector: float32, float16 or uint8."""
    sparse: tuple[str, ...] = ()
    """Names of its sparse vectors."""
    unwritten: tuple[str, ...] = ()
    """Names of vectors, sparse or dense, that writes through this store would not bring along: none may be made."""
    keyed: bool = False
    """Its makers say by a key which shard a point goes to: it can be read, and not be written without their keys."""
    twice: int = 0
    """Points that are counted and cannot be read, because another shard has a point of the same id."""
