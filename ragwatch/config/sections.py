"""The sections of a configuration: frozen types, each key with its rule. An unknown key is an error."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt, StringConstraints, field_validator, model_validator

from ragwatch.config.base import Section
from ragwatch.config.daemon import AlertsConfig, DaemonConfig, ObjectiveConfig, PolicyConfig
from ragwatch.index.guards import Limits
from ragwatch.index.spec import Distance, Fusion, Layout

SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
COLLECTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""What server and embedded engine hold with all that is added: a migration names its collection after the alias and a
fingerprint, the engine's folder holds 128 characters, and of names not much longer a server makes no snapshot."""
COLLECTION_RULE = (
    "a collection name is made of letters, digits, '.', '_' and '-', begins with one of the first two, and has 100 "
    "characters at most"
)


class StoreConfig(Section):
    """Where the vectors are. With `url`, a Qdrant server; without, the embedded engine in `path`."""

    path: str = ".ragwatch/index"
    url: str | None = None
    api_key_env: str | None = None
    api_key_file: str | None = None
    read_api_key_env: str | None = None
    """A read-only key for everything but `reindex`."""
    grpc: bool = False
    grpc_port: Annotated[int, Field(ge=1, le=65535)] = 6334
    timeout_s: Annotated[float, Field(gt=0)] = 30.0
    layout: Layout = Layout.PLAIN
    distance: Distance = Distance.COSINE
    vector_name: str = ""
    sparse_vector: str | None = None
    """A sparse vector beside the dense one, for hybrid search. It is written with every point."""
    sparse_encoder: str | None = None
    """What makes it: "qdrant/bm25", another model of the server, or a callable as `module:name`."""

    @model_validator(mode="after")
    def _whole(self) -> "StoreConfig":
        if bool(self.sparse_vector) != bool(self.sparse_encoder):
            raise ValueError('sparse_vector and sparse_encoder ("qdrant/bm25", or "module:name") come together')
        if self.sparse_vector and self.sparse_vector == self.vector_name:
            raise ValueError("sparse_vector and vector_name must differ")
        return self


Verbatim = Annotated[str, StringConstraints(strip_whitespace=False)]
"""A prompt: "query: " and "query:" give other vectors."""


class EncoderConfig(Section):
    """Which encoder. `model` is a local path, an installed package's model, or a hub name."""

    kind: Literal["sentence-transformers", "openai"] = "sentence-transformers"
    model: Annotated[str, Field(min_length=1)] = "all-MiniLM-L6-v2"
    revision: str | None = None
    device: str | None = None
    precision: Literal["float32", "float16", "bfloat16"] = "float32"
    backend: Literal["torch", "onnx", "openvino"] = "torch"
    weights_file: str = ""
    passage_prompt: Verbatim | None = None
    query_prompt: Verbatim | None = None
    max_tokens: Annotated[int, Field(ge=8)] | None = None
    dimensions: Annotated[int, Field(ge=1, le=65536)] | None = None
    batch_size: Annotated[int, Field(ge=1, le=2048)] | None = None
    base_url: str | None = None
    request_dimensions: bool = False
    """Ask the endpoint for `dimensions`, for models that can shorten their vectors."""
    api_key_env: str | None = None
    api_key_file: str | None = None
    tokenizer: str | None = None
    timeout_s: Annotated[float, Field(gt=0)] = 60.0
    attempts: Annotated[int, Field(ge=1, le=1000)] = 12
    patience_s: Annotated[float, Field(gt=0)] = 300.0
    longest_pause_s: Annotated[float, Field(gt=0)] = 60.0
    refused_first_s: Annotated[float, Field(gt=0)] = 900.0
    """After how long a text that the encoder refused is tried again; then twice as long each time."""
    refused_longest_s: Annotated[float, Field(gt=0, le=365 * 86400)] = 86400.0
    price_per_million_tokens: Annotated[float, Field(ge=0)] | None = None
    currency: str = "USD"

    @model_validator(mode="after")
    def _complete(self) -> "EncoderConfig":
        if self.kind == "openai" and not self.base_url:
            raise ValueError('kind "openai" needs base_url, for example "https://api.openai.com/v1"')
        if self.kind == "openai" and not self.dimensions:
            raise ValueError('kind "openai" needs dimensions, the length of the vectors that the endpoint returns')
        return self


class ChunkerConfig(Section):
    """How documents are cut. `target` names a LangChain splitter class or any callable, as `module:name`."""

    kind: Literal["sections", "langchain", "callable"] = "sections"
    max_tokens: Annotated[int, Field(ge=16)] | None = None
    target: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> "ChunkerConfig":
        if self.kind != "sections" and (not self.target or ":" not in self.target):
            raise ValueError(f'kind "{self.kind}" needs target = "module:name"')
        return self


class NamedSource(Section):
    """What all sources share."""

    name: str

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if not SOURCE_NAME.fullmatch(name):
            raise ValueError(
                "a source name is made of letters, digits, '.', '_' and '-', and begins with one of the first two"
            )
        return name


class FilesConfig(NamedSource):
    """Files under a folder: a local path or any fsspec URL."""

    kind: Literal["files"] = "files"
    path: Annotated[str, Field(min_length=1)]
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    markup: Literal["auto", "markdown", "rst", "plain"] = "auto"
    max_bytes: Annotated[int, Field(ge=1)] = 20_000_000
    storage_options: dict[str, Any] = Field(default_factory=dict)


class SqlConfig(NamedSource):
    """Rows of a query, through any SQLAlchemy URL."""

    kind: Literal["sql"]
    url: str | None = None
    url_env: str | None = None
    query: Annotated[str, Field(min_length=1)]
    id_column: str = "id"
    text_column: str = "text"
    title_column: str | None = None
    metadata_columns: tuple[str, ...] = ()
    changed_at_column: str | None = None
    markup: Literal["markdown", "rst", "plain", "html"] = "plain"

    @model_validator(mode="after")
    def _complete(self) -> "SqlConfig":
        if bool(self.url) == bool(self.url_env):
            raise ValueError("give either url, or url_env: the name of the variable that holds it")
        return self


class RecordsConfig(NamedSource):
    """Records of JSON Lines or Parquet files: a path, a glob or an fsspec URL."""

    kind: Literal["jsonl", "parquet"]
    path: Annotated[str, Field(min_length=1)]
    id_field: str = "id"
    text_field: str = "text"
    title_field: str | None = None
    metadata_fields: tuple[str, ...] = ()
    markup: Literal["markdown", "rst", "plain", "html"] = "plain"
    storage_options: dict[str, Any] = Field(default_factory=dict)


SourceConfig = Annotated[FilesConfig | SqlConfig | RecordsConfig, Field(discriminator="kind")]


class StateConfig(Section):
    """Where history and caches are: any SQLite or PostgreSQL URL; `url_env` names a variable that holds it."""

    url: str | None = None
    url_env: str | None = None


class LimitsConfig(Section):
    """What one document may cost; see `ragwatch.sources.limits`."""

    expanded_bytes: Annotated[int, Field(ge=1)] = 200_000_000
    record_bytes: Annotated[int, Field(ge=1)] = 20_000_000
    nesting: Annotated[int, Field(ge=1, le=250)] = 200
    seconds: Annotated[float, Field(gt=0)] = 60.0
    memory_bytes: Annotated[int, Field(ge=1)] = 1_000_000_000


class GuardsConfig(Section):
    """The brakes; see `ragwatch.index.guards`."""

    delete_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    delete_chunks: Annotated[int, Field(ge=0)] = 500
    source_shrink: Annotated[float, Field(ge=0, le=1)] = 0.20
    suspect_documents: Annotated[int, Field(ge=0)] = 5
    suspect_share: Annotated[float, Field(ge=0, le=1)] = 0.05

    @property
    def limits(self) -> Limits:
        return Limits(
            self.delete_share, self.delete_chunks, self.source_shrink, self.suspect_documents, self.suspect_share
        )


class ProbeConfig(Section):
    """Which golden queries are asked, and of what. `target` names a callable as `module:name`; `url` an endpoint."""

    golden: str = "golden.jsonl"
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    retriever: Literal["collection", "http", "callable"] = "collection"
    url: str | None = None
    target: str | None = None
    headers_env: dict[str, str] = Field(default_factory=dict)
    """HTTP header → the environment variable that holds its value."""
    filters: dict[str, str | StrictInt] = Field(default_factory=dict)
    """Payload field → value that every result must have (a tenant, a language)."""
    search: Literal["dense", "hybrid"] = "dense"
    """hybrid: the sparse vector of `store.sparse_vector` is searched too, and the results are fused."""
    fusion: Fusion = Fusion.RRF
    candidates: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Best results of each side that are fused."""
    similarity: bool = True
    """Encode evidence and results to compare them by meaning. Results that the index holds are not encoded again."""
    timeout_s: Annotated[float, Field(gt=0)] = 30.0

    @model_validator(mode="after")
    def _complete(self) -> "ProbeConfig":
        if self.retriever == "http" and not self.url:
            raise ValueError('retriever "http" needs url, the endpoint that answers queries')
        if self.retriever == "callable" and (not self.target or ":" not in self.target):
            raise ValueError('retriever "callable" needs target = "module:name"')
        if self.search == "hybrid" and self.retriever != "collection":
            raise ValueError(
                'search = "hybrid" is for retriever "collection"; a pipeline of your own searches as it does'
            )
        return self


class JudgeConfig(Section):
    """The model that judges answers, behind any OpenAI-compatible endpoint. Needs the `ragas` extra."""

    base_url: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    api_key_file: str | None = None
    python: str | None = None
    """The interpreter that has RAGAS, where it is not the one that ragwatch runs in."""
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.01
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.1
    answer_format: Literal["json_object", "json_schema", "text"] = "json_object"
    repeats: Annotated[int, Field(ge=1, le=20)] = 3
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    requests_per_minute: Annotated[float, Field(gt=0)] | None = None
    timeout_s: Annotated[float, Field(gt=0)] = 60.0
    retries: Annotated[int, Field(ge=0, le=10)] = 3
    budget_tokens: Annotated[int, Field(ge=1)] | None = None
    """Prompt and answer tokens of one run; the run stops there."""
    price_per_million_tokens: Annotated[float, Field(ge=0)] | None = None
    budget: Annotated[float, Field(gt=0)] | None = None
    """Money of one run, at that price; the run stops there."""
    currency: str = "USD"

    @model_validator(mode="after")
    def _complete(self) -> "JudgeConfig":
        if bool(self.base_url) != bool(self.model):
            raise ValueError("a judge needs both base_url and model")
        if self.budget is not None and self.price_per_million_tokens is None:
            raise ValueError("budget needs price_per_million_tokens")
        return self


class Config(Section):
    """Everything that a file and the environment say."""

    collection: str
    store: StoreConfig = Field(default_factory=StoreConfig)
    encoder: EncoderConfig = Field(default_factory=EncoderConfig)
    chunker: ChunkerConfig = Field(default_factory=ChunkerConfig)
    sources: Annotated[tuple[SourceConfig, ...], Field(min_length=1)]
    state: StateConfig = Field(default_factory=StateConfig)
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
    guards: GuardsConfig = Field(default_factory=GuardsConfig)
    probe: ProbeConfig = Field(default_factory=ProbeConfig)
    judge: JudgeConfig = Field(default_factory=JudgeConfig)
    daemon: DaemonConfig = Field(default_factory=DaemonConfig)
    policy: PolicyConfig = Field(default_factory=PolicyConfig)
    objectives: tuple[ObjectiveConfig, ...] = ()
    alerts: AlertsConfig = Field(default_factory=AlertsConfig)

    @field_validator("collection")
    @classmethod
    def _plain(cls, name: str) -> str:
        if not COLLECTION_NAME.fullmatch(name):
            raise ValueError(f"{COLLECTION_RULE}; one of another name that a server has can be given an alias")
        return name

    @model_validator(mode="after")
    def _searchable(self) -> "Config":
        if self.probe.search == "hybrid" and not self.store.sparse_vector:
            raise ValueError('probe.search = "hybrid" needs store.sparse_vector and store.sparse_encoder')
        return self

    @model_validator(mode="after")
    def _distinct(self) -> "Config":
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sources are called {twice[0]!r}; names must differ")
        return self

    @model_validator(mode="after")
    def _objectives(self) -> "Config":
        names, said = {source.name for source in self.sources}, set[tuple[str | None, str]]()
        for goal in self.objectives:
            if goal.source is not None and goal.source not in names:
                raise ValueError(
                    f"objectives: there is no source {goal.source!r}; there are: {', '.join(sorted(names))}"
                )
            for change in ("edit", "addition", "deletion"):
                if getattr(goal, change) is None:
                    continue
                if (goal.source, change) in said:
                    raise ValueError(f"objectives: two of them say {change} for source {goal.source or 'any'}")
                said.add((goal.source, change))
        return self
