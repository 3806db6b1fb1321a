"""What a Qdrant server says about a collection, checked and in our terms."""

from dataclasses import dataclass

from qdrant_client import models

from ragwatch.errors import RefusedError, StoreError
from ragwatch.index.points import Key
from ragwatch.index.spec import Distance, Manifest
from ragwatch.stores.points import field_path
from ragwatch.stores.server_settings import ServerSettings

METADATA_KEY = "ragwatch"
"""Where in the collection's metadata the manifest is."""

UNLIMITED = 2**31


@dataclass(frozen=True, slots=True)
class Shape:
    """A collection's vector, its payload indexes, and the limits that its strict mode sets."""

    dimension: int
    distance: Distance
    indexed_keys: frozenset[str]
    datatype: str = "float32"
    max_page: int = UNLIMITED
    max_batch: int = UNLIMITED
    max_values: int = UNLIMITED
    """Most values or ids in one condition of a filter."""
    sparse: tuple[str, ...] = ()
    """Names of the sparse vectors."""
    unwritten: tuple[str, ...] = ()
    """Names of the vectors, sparse and dense, that are not written."""
    keyed: bool = False
    """Its makers say by a key which shard a point goes to; writes without one are refused."""

    @property
    def single(self) -> bool:
        """The collection has no vector beside the dense one that is compared."""
        return not (self.sparse or self.unwritten)


def shape_of(collection: str, info: models.CollectionInfo, settings: ServerSettings) -> Shape:
    """Read a collection's description. Raises `StoreError` where it lacks a usable vector of the configured name."""
    params = _vector_params(collection, info.config.params.vectors, settings.vector_name)
    if params.multivector_config is not None:
        raise StoreError(f"the vector of collection {collection!r} is a multivector, which ragwatch cannot compare")
    keyword = {name for name, index in info.payload_schema.items() if index.data_type == "keyword"}
    reserved = {field_path(key, settings.layout): str(key) for key in Key}
    strict = info.config.strict_mode_config
    strict = strict if strict and strict.enabled else models.StrictModeConfigOutput()
    return Shape(
        dimension=params.size,
        distance=Distance(params.distance.value.lower()),
        indexed_keys=frozenset(reserved.get(name, name) for name in keyword),
        datatype=params.datatype.value if params.datatype else "float32",
        max_page=strict.max_query_limit or UNLIMITED,
        max_batch=strict.upsert_max_batchsize or UNLIMITED,
        max_values=strict.condition_max_size or UNLIMITED,
        sparse=tuple(sorted(info.config.params.sparse_vectors or {})),
        unwritten=_unwritten(info.config.params, settings),
        keyed=info.config.params.sharding_method is models.ShardingMethod.CUSTOM,
    )


def check_unkeyed(collection: str, *, keyed: bool) -> None:
    """Raise `RefusedError` where points are to be written to a collection that is `keyed`."""
    if keyed:
        raise RefusedError(
            f"the shards of collection {collection!r} go by keys of its makers (sharding_method custom), "
            "and ragwatch knows none to write with",
            hint="let the program that writes it mend what the scan names, or index into a collection of its own",
        )


def _unwritten(params: models.CollectionParams, settings: ServerSettings) -> tuple[str, ...]:
    dense = params.vectors if isinstance(params.vectors, dict) else {"": None}
    written = {settings.vector_name} | ({settings.sparse.name} if settings.sparse else set())
    return tuple(sorted({*dense, *(params.sparse_vectors or {})} - written))


def _vector_params(
    collection: str, vectors: models.VectorParams | dict[str, models.VectorParams] | None, name: str
) -> models.VectorParams:
    named = {"": vectors} if isinstance(vectors, models.VectorParams) else (vectors or {})
    if name in named:
        return named[name]
    known = ", ".join(repr(one) if one else "the unnamed one" for one in sorted(named)) or "no dense vector"
    wanted = f"vector {name!r}" if name else "unnamed vector"
    fact = f"collection {collection!r} has no {wanted}; it has {known}"
    raise StoreError(fact, hint="set store.vector_name to one that it has")


def manifest_of(collection: str, info: models.CollectionInfo) -> Manifest | None:
    """Return the manifest in the collection's metadata, if any. Raises `StoreError` for one that cannot be read."""
    found = (info.config.metadata or {}).get(METADATA_KEY)
    if found is None:
        return None
    try:
        return Manifest.from_json(found)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        fact = f"the manifest in the metadata of collection {collection!r} cannot be read: {error}"
        hint = f"remove the metadata key {METADATA_KEY!r}, then run ragwatch reindex"
        raise StoreError(fact, hint=hint) from None
