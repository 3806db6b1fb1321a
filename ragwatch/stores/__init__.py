"""Adapters of vector stores behind the one small port."""

from pathlib import Path

from ragwatch.errors import ConfigError, MissingExtraError, NotFoundError, RagwatchError
from ragwatch.index.spec import Layout, Manifest
from ragwatch.ports import Store
from ragwatch.stores.sparse import SparseSettings


def open_store(
    collection: str,
    *,
    url: str | None = None,
    path: str | Path | None = None,
    api_key: str | None = None,
    api_key_name: str = "store.api_key_env",
    prefer_grpc: bool = False,
    grpc_port: int = 6334,
    timeout: float = 30.0,
    vector_name: str = "",
    layout: Layout = Layout.PLAIN,
    sparse: SparseSettings | None = None,
) -> Store:
    """Return the store of `collection`: on the Qdrant server at `url`, or embedded in the folder `path`.

    `url` wins where both are given. Nothing is opened or connected before the first call. `api_key_name` is
    what error messages call the key; `timeout` is in seconds and per request. `vector_name` "" means the
    unnamed vector. `layout` says where the reserved payload fields are, `sparse` which sparse vector is written and
    searched beside the dense one. Raises `ConfigError` where an
    argument breaks a rule, `MissingExtraError` where this platform has no embedded engine.
    """
    if url:
        from ragwatch.stores.qdrant import QdrantStore
        from ragwatch.stores.server_settings import ServerSettings

        settings = ServerSettings(
            url=url,
            api_key=api_key or "",
            api_key_name=api_key_name,
            prefer_grpc=prefer_grpc,
            grpc_port=grpc_port,
            timeout=timeout,
            vector_name=vector_name,
            layout=layout,
            sparse=sparse,
        )
        return QdrantStore(collection, settings)
    if not path:
        raise ConfigError("neither store.url nor store.path is given", hint="name a server, or a folder")
    try:
        from ragwatch.stores.embedded import EmbeddedStore
    except ModuleNotFoundError as error:
        if error.name != "qdrant_edge":
            raise
        hint = "use a Qdrant server (store.url), or install qdrant-edge-py where it has a build"
        raise MissingExtraError("the embedded engine (qdrant-edge-py) is not installed", hint=hint) from None
    return EmbeddedStore(Path(path), collection, vector_name=vector_name, layout=layout, sparse=sparse)


def cluster_advice(
    collection: str, *, url: str, api_key: str | None = None, api_key_name: str, timeout: float = 30.0
) -> list[str] | None:
    """Say what an operator of the cluster behind `url` should know of the collection's shards: [] where all is well.

    None where it is no cluster, has no such collection, or does not say. Arguments as in `open_store`.
    """
    from ragwatch.stores.qdrant import QdrantStore
    from ragwatch.stores.server_settings import ServerSettings

    settings = ServerSettings(url=url, api_key=api_key or "", api_key_name=api_key_name, timeout=timeout)
    store = QdrantStore(collection, settings)
    try:
        view = store.cluster()
    except RagwatchError:
        return None
    finally:
        store.close()
    return view.advice(timeout) if view else None


def read_manifest(
    collection: str,
    *,
    url: str | None = None,
    path: str | Path | None = None,
    api_key: str | None = None,
    api_key_name: str = "store.api_key_env",
    prefer_grpc: bool = False,
    grpc_port: int = 6334,
    timeout: float = 30.0,
) -> Manifest | None:
    """Return what the collection (by name or alias) says about itself, None where it says nothing.

    Arguments as in `open_store`. An embedded collection is not opened for it, so this works while another process,
    or this one, has it open. Raises `NotFoundError` where there is no such collection, `StoreError` for a manifest
    that cannot be read, `UnreachableError`, `ConfigError`.
    """
    if url:
        from ragwatch.stores.qdrant import QdrantStore
        from ragwatch.stores.server_settings import ServerSettings

        settings = ServerSettings(
            url=url,
            api_key=api_key or "",
            api_key_name=api_key_name,
            prefer_grpc=prefer_grpc,
            grpc_port=grpc_port,
            timeout=timeout,
        )
        server = QdrantStore(collection, settings)
        try:
            return server.manifest()
        finally:
            server.close()
    if not path:
        raise ConfigError("neither store.url nor store.path is given", hint="name a server, or a folder")
    from ragwatch.stores.embedded_folder import StoreFolder

    folder = StoreFolder(Path(path))
    record = folder.record(folder.resolve(collection))
    if record is None:
        raise NotFoundError(f"there is no collection {collection!r} in {path}", hint="ragwatch reindex creates it")
    return record.manifest
