"""From each section of a configuration to its adapter. Adapters are imported when they are needed."""

import importlib
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ragwatch.config.loading import read_secret
from ragwatch.config.sections import (
    Config,
    EncoderConfig,
    FilesConfig,
    LimitsConfig,
    RecordsConfig,
    SourceConfig,
    SqlConfig,
    StoreConfig,
)
from ragwatch.corpus.document import Chunker
from ragwatch.corpus.identity import Json
from ragwatch.errors import ConfigError
from ragwatch.index.spec import Manifest
from ragwatch.ports import Encoder, Retriever, Source, Store
from ragwatch.ports.incidents import Ledger
from ragwatch.process import own_name
from ragwatch.quarantine import Patience

if TYPE_CHECKING:
    from ragwatch.probes.ragas_adapter import Ragas
    from ragwatch.sources.limits import Limits

DEFAULT_WINDOW = 510
"""Chunk size in tokens where an endpoint's window is not known: what nearly every embedding model reads whole."""
DEFAULT_CHUNK = 254
DEFAULT_STATE = "sqlite:///.ragwatch/state.db"


def make_state(config: Config, base: Path, *, reading: bool = False) -> Ledger:
    """Open the state database; a relative SQLite path starts at the configuration's folder.

    `reading` is for those who can do without writing; see `ragwatch.state.open_state`.
    """
    from ragwatch.state import open_state

    url = read_secret(config.state.url_env, None, what="state.url_env", base=base) or config.state.url or DEFAULT_STATE
    return open_state(_sqlite_under(url, base), process=own_name(), reading=reading)


def _sqlite_under(url: str, base: Path) -> str:
    """Let a relative SQLite path start at the configuration's folder, as every other path does."""
    scheme, separator, rest = url.partition(":///")
    if separator and scheme.startswith("sqlite") and rest and not rest.startswith("/") and rest != ":memory:":
        return f"{scheme}:///{base / rest}"
    return url


def make_store(config: Config, base: Path, *, writing: bool = False) -> Store:
    """Open the collection's store: the server of `url`, or the embedded engine of `path`."""
    from ragwatch.stores import open_store
    from ragwatch.stores.sparse import sparse_settings

    section = config.store
    key, key_name = _store_key(section, base, writing=writing)
    name, encoder = section.sparse_vector, section.sparse_encoder
    return open_store(
        config.collection,
        url=section.url,
        path=base / Path(section.path).expanduser(),
        api_key=key,
        api_key_name=key_name,
        prefer_grpc=section.grpc,
        grpc_port=section.grpc_port,
        timeout=section.timeout_s,
        vector_name=section.vector_name,
        layout=section.layout,
        sparse=sparse_settings(name, encoder) if name and encoder else None,
    )


def cluster_advice_for(config: Config, base: Path) -> list[str] | None:
    """Say what an operator should know of the cluster that holds the collection; None where it is in none."""
    from ragwatch.stores import cluster_advice

    section = config.store
    if not section.url:
        return None
    key, key_name = _store_key(section, base, writing=False)
    return cluster_advice(
        config.collection, url=section.url, api_key=key, api_key_name=key_name, timeout=section.timeout_s
    )


def published_manifest(config: Config, base: Path) -> Manifest | None:
    """Read what the configured collection says about itself, without opening an embedded one."""
    from ragwatch.stores import read_manifest

    section = config.store
    key, key_name = _store_key(section, base, writing=False)
    return read_manifest(
        config.collection,
        url=section.url,
        path=base / Path(section.path).expanduser(),
        api_key=key,
        api_key_name=key_name,
        prefer_grpc=section.grpc,
        grpc_port=section.grpc_port,
        timeout=section.timeout_s,
    )


def _store_key(section: StoreConfig, base: Path, *, writing: bool) -> tuple[str | None, str]:
    """Return the key and what error messages call it."""
    key_env = section.api_key_env
    if section.read_api_key_env and not writing:
        key_env = section.read_api_key_env
    key = read_secret(key_env, section.api_key_file, what="store.api_key", base=base)
    return key, key_env or section.api_key_file or "store.api_key_env"


def make_encoder(config: Config, base: Path) -> Encoder:
    """Construct the encoder; weights are loaded when it first encodes."""
    return encoder_of(config.encoder, base)


def encoder_of(section: EncoderConfig, base: Path) -> Encoder:
    """Construct the encoder of one `[encoder]` section; relative paths start at `base`."""
    return _endpoint(section, base) if section.kind == "openai" else _local(section, base)


def _local(section: EncoderConfig, base: Path) -> Encoder:
    from ragwatch.encoders.sentence_transformers import SentenceTransformerEncoder
    from ragwatch.encoders.settings import SentenceTransformerSettings

    relative = base / section.model
    return SentenceTransformerEncoder(
        SentenceTransformerSettings(
            model=str(relative) if section.model.startswith(".") and relative.is_dir() else section.model,
            revision=section.revision or "",
            passage_prompt=section.passage_prompt,
            query_prompt=section.query_prompt,
            max_seq_length=section.max_tokens,
            truncate_dim=section.dimensions,
            precision=section.precision,
            backend=section.backend,
            weights_file=section.weights_file,
            device=section.device or "",
            batch_size=section.batch_size or 0,
            digest_cache=base / ".ragwatch" / "cache",
        )
    )


def _endpoint(section: EncoderConfig, base: Path) -> Encoder:
    from ragwatch.encoders.openai_compatible import EndpointEncoder
    from ragwatch.encoders.settings import EndpointSettings

    key = read_secret(section.api_key_env, section.api_key_file, what="encoder.api_key", base=base)
    return EndpointEncoder(
        EndpointSettings(
            base_url=section.base_url or "",
            model=section.model,
            api_key=key or "",
            api_key_name=section.api_key_env or section.api_key_file or "encoder.api_key_env",
            dimensions=section.dimensions if section.request_dimensions else None,
            expected_dimension=section.dimensions,
            passage_prefix=section.passage_prompt or "",
            query_prefix=section.query_prompt or "",
            max_tokens=section.max_tokens or 0,
            tokenizer=section.tokenizer or "",
            batch_texts=section.batch_size or 64,
            timeout=section.timeout_s,
            attempts=section.attempts,
            patience=section.patience_s,
            longest_pause=section.longest_pause_s,
        )
    )


def patience_of(section: EncoderConfig) -> Patience:
    """Return how long texts that the encoder refused are left alone."""
    return Patience(timedelta(seconds=section.refused_first_s), timedelta(seconds=section.refused_longest_s))


def make_chunker(config: Config, encoder: Encoder) -> Chunker:
    """Construct the chunker; the built-in one is sized to the encoder's window unless the file says less."""
    section = config.chunker
    if section.kind == "sections":
        from ragwatch.corpus.chunking import SectionChunker

        window = encoder.max_tokens or DEFAULT_WINDOW
        longest = min(section.max_tokens or DEFAULT_CHUNK, window)
        mixed = min(SectionChunker.mixed_tokens, longest) if longest <= DEFAULT_CHUNK else longest * 2 // 3
        least = min(SectionChunker.min_tokens, mixed // 4)
        return SectionChunker(max_tokens=longest, mixed_tokens=mixed, min_tokens=least)
    return _external_chunker(section.kind, section.target or "", section.options)


def _external_chunker(kind: str, target: str, options: dict[str, Json]) -> Chunker:
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    from ragwatch.corpus.callable_chunker import CallableChunker

    module_name, _, name = target.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        hint = "give it as module:name, of a module that is installed or on PYTHONPATH"
        raise ConfigError(f"chunker.target {target!r} cannot be imported: {error}", hint=hint) from None
    distribution = next(iter(packages_distributions().get(module_name.partition(".")[0], [])), "")
    try:
        release = f"{distribution} {version(distribution)}" if distribution else ""
    except PackageNotFoundError:
        release = ""
    try:
        split = found(**options) if kind == "langchain" else found
    except (TypeError, ValueError) as error:
        raise ConfigError(f"chunker.options do not fit {target}: {error}") from None
    return CallableChunker(split, target, options=options, version=release)


def make_sources(config: Config, base: Path) -> tuple[Source, ...]:
    """Construct all sources; nothing is read yet."""
    return tuple(make_source(source, config.limits, base) for source in config.sources)


def make_source(section: SourceConfig, bounds: LimitsConfig, base: Path) -> Source:
    """Construct a source; nothing is read yet."""
    from ragwatch.sources.limits import Limits

    limits = Limits(**bounds.model_dump())
    if isinstance(section, FilesConfig):
        return _files(section, limits, base)
    if isinstance(section, SqlConfig):
        return _sql(section, limits, base)
    return _records(section, limits, base)


def _located(path: str, base: Path) -> str:
    return path if "://" in path or "::" in path else str(base / Path(path).expanduser())


def _files(section: FilesConfig, limits: "Limits", base: Path) -> Source:
    from ragwatch.sources.files import FileSource

    return FileSource(
        section.name,
        _located(section.path, base),
        include=section.include,
        exclude=section.exclude,
        max_bytes=section.max_bytes,
        markup=None if section.markup == "auto" else section.markup,
        limits=limits,
        storage_options=section.storage_options,
    )


def _sql(section: SqlConfig, limits: "Limits", base: Path) -> Source:
    from ragwatch.sources.sql import SqlSource

    url = read_secret(section.url_env, None, what=f"source {section.name}: url_env", base=base) or section.url or ""
    return SqlSource(
        section.name,
        _sqlite_under(url, base),
        section.query,
        id_column=section.id_column,
        text_column=section.text_column,
        title_column=section.title_column,
        metadata_columns=section.metadata_columns,
        changed_at_column=section.changed_at_column,
        limits=limits,
        markup=section.markup,
    )


def _records(section: RecordsConfig, limits: "Limits", base: Path) -> Source:
    from ragwatch.sources.records import JsonlSource, ParquetSource

    kind = JsonlSource if section.kind == "jsonl" else ParquetSource
    return kind(
        section.name,
        _located(section.path, base),
        id_field=section.id_field,
        text_field=section.text_field,
        title_field=section.title_field,
        metadata_fields=section.metadata_fields,
        limits=limits,
        markup=section.markup,
        storage_options=section.storage_options,
    )


def make_ragas(config: Config, base: Path, encoder: Encoder) -> "Ragas":
    """Construct the adapter of RAGAS with the configured judge; nothing is started yet."""
    from ragwatch.probes.judge import JudgeSettings
    from ragwatch.probes.ragas_adapter import Ragas, RagasSettings

    section = config.judge
    judge = None
    if section.base_url and section.model:
        key = read_secret(section.api_key_env, section.api_key_file, what="judge.api_key", base=base)
        judge = JudgeSettings(
            base_url=section.base_url,
            model=section.model,
            api_key=key or "",
            api_key_name=section.api_key_env or section.api_key_file or "judge.api_key_env",
            max_tokens=section.max_tokens,
            temperature=section.temperature,
            top_p=section.top_p,
            answer_format=section.answer_format,
            repeats=section.repeats,
            concurrency=section.concurrency,
            requests_per_minute=section.requests_per_minute,
            timeout_s=section.timeout_s,
            retries=section.retries,
            budget_tokens=section.budget_tokens,
            price_per_million_tokens=section.price_per_million_tokens,
            budget=section.budget,
            currency=section.currency,
        )
    settings = RagasSettings(judge=judge, python=_interpreter(section.python, base), cache=base / ".ragwatch" / "cache")
    return Ragas(settings, embed=lambda texts: encoder.encode(texts, kind="query").tolist())


def _interpreter(python: str | None, base: Path) -> str:
    """Return the interpreter that has RAGAS: a path from the configuration's folder, or a name on PATH; "" for ours."""
    if not python:
        return ""
    # Not resolved: the interpreter of a virtual environment is a link, and what it links to has no RAGAS.
    return str(base / Path(python).expanduser()) if "/" in python or "\\" in python else python


def make_retriever(config: Config, base: Path, store: Store, encoder: Encoder) -> Retriever:
    """Construct what the golden queries are asked of: the collection, an endpoint, or a callable."""
    from ragwatch.probes.retrievers import CallableRetriever, CollectionRetriever, HttpRetriever, Search

    section = config.probe
    if section.retriever == "callable":
        return CallableRetriever(section.target or "")
    if section.retriever == "http":
        headers = {
            name: read_secret(variable, None, what=f"probe.headers_env.{name}", base=base) or ""
            for name, variable in section.headers_env.items()
        }
        return HttpRetriever(section.url or "", headers=headers, timeout=section.timeout_s)
    sparse = Search(section.fusion, section.candidates, config.store.sparse_encoder or "")
    return CollectionRetriever(
        store,
        encoder,
        config.store.layout,
        filters=section.filters,
        hybrid=sparse if section.search == "hybrid" else None,
    )
