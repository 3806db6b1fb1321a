"""Settings of the encoders: plain values, checked where they are made, cheap to import."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ragwatch.errors import ConfigError
from ragwatch.words.addresses import is_web_address

DEFAULT_MODEL = "all-MiniLM-L6-v2"

Precision = Literal["float32", "float16", "bfloat16"]
Backend = Literal["torch", "onnx", "openvino"]


@dataclass(frozen=True, slots=True)
class SentenceTransformerSettings:
    """A model that runs in this process. Raises `ConfigError` where a value breaks its rule."""

    model: str = DEFAULT_MODEL
    """A folder, `package:NAME` of an installed package, or a name on the Hugging Face hub (see `resolve_model`)."""
    revision: str = ""
    """Commit, tag or branch of a hub model. A commit pins it."""
    passage_prompt: str | None = None
    """Text put before every passage; None takes what the model's own configuration says, "" is none."""
    query_prompt: str | None = None
    max_seq_length: int | None = None
    """The window in tokens, special tokens and prompt included; None takes the model's own."""
    truncate_dim: int | None = None
    """Keep only the first so many dimensions (for models trained for it)."""
    precision: Precision = "float32"
    """Of the computation with torch; the other backends compute in what their file holds."""
    backend: Backend = "torch"
    weights_file: str = ""
    """For onnx and openvino: the file inside the model's folder; "" takes the backend's usual one."""
    device: str = ""
    """As torch names it; "" takes cuda, then mps, then cpu."""
    batch_size: int = 0
    """Texts encoded at once; 0 takes 32 on a CPU and 128 elsewhere."""
    hub_cache: Path | None = None
    """Folder of downloaded hub models; None takes the hub library's own."""
    digest_cache: Path | None = None
    """Folder in which file digests are remembered between runs; None recomputes them in every process."""

    def __post_init__(self) -> None:
        _require(self.model.strip() != "", "model", self.model, "must name a model")
        _require(self.max_seq_length is None or self.max_seq_length > 0, "max_seq_length", self.max_seq_length)
        _require(self.truncate_dim is None or self.truncate_dim > 0, "truncate_dim", self.truncate_dim)
        _require(self.batch_size >= 0, "batch_size", self.batch_size, "must not be negative")
        _require(
            self.backend == "torch" or self.precision == "float32",
            "precision",
            self.precision,
            f"applies to the torch backend only; with {self.backend} choose it with weights_file",
        )
        _require(
            not (self.backend == "torch" and self.weights_file),
            "weights_file",
            self.weights_file,
            "applies to the backends onnx and openvino only",
        )


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """An OpenAI-compatible `/embeddings` endpoint. Raises `ConfigError` where a value breaks its rule.

    `base_url`, `api_key` and `headers` may hold secrets and are left out of the representation.
    """

    base_url: str = field(repr=False)
    """Up to and without `/embeddings`, such as `https://api.openai.com/v1`. User, password and query are kept."""
    model: str
    api_key: str = field(default="", repr=False)
    api_key_name: str = ""
    """Where the key came from (the environment variable), to be named when the endpoint refuses it."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with every request, beside or instead of the bearer token made of `api_key`."""
    dimensions: int | None = None
    """Asked for in every request, for models that can shorten their vectors; None asks for nothing."""
    expected_dimension: int | None = None
    """Length of the vectors where it is known; None learns it from one request."""
    passage_prefix: str = ""
    query_prefix: str = ""
    max_tokens: int = 0
    """Longest input in tokens that the model reads whole, special tokens left out; 0 when unknown."""
    tokenizer: str = ""
    """A `tokenizer.json`, or a local model that has one. "" estimates tokens as UTF-8 bytes / 4, rounded up."""
    batch_texts: int = 64
    batch_characters: int = 100_000
    """A single text that is longer travels alone."""
    in_flight: int = 4
    """Requests at once."""
    timeout: float = 60.0
    """Seconds for connecting, and between two pieces of an answer."""
    attempts: int = 12
    """Tries of one request before it counts as failed; with their pauses, they outlast a start of a minute."""
    patience: float = 300.0
    """Seconds after which a request that keeps failing is not tried again, whatever attempts are left."""
    longest_pause: float = 60.0
    """Most seconds between two tries, whatever the server asks for in `Retry-After`."""
    encoding_format: Literal["float", "base64"] = "float"
    """base64 makes answers a quarter of the size, where the server knows it."""

    def __post_init__(self) -> None:
        # Keys read from files end in a newline, which would end up in an error message of the HTTP library.
        object.__setattr__(self, "api_key", self.api_key.strip())
        self._check_url()
        _require(self.model.strip() != "", "model", self.model, "must name the endpoint's model")
        for name in (
            "batch_texts",
            "batch_characters",
            "in_flight",
            "timeout",
            "attempts",
            "patience",
            "longest_pause",
        ):
            _require(getattr(self, name) > 0, name, getattr(self, name))
        for name in ("dimensions", "expected_dimension"):
            value = getattr(self, name)
            _require(value is None or value > 0, name, value)
        _require(self.max_tokens >= 0, "max_tokens", self.max_tokens, "must not be negative")
        _require(
            None in (self.dimensions, self.expected_dimension) or self.dimensions == self.expected_dimension,
            "expected_dimension",
            self.expected_dimension,
            f"must equal dimensions ({self.dimensions}) where both are given",
        )
        for name, value in (("api_key", self.api_key), *self.headers.items()):
            if not (value.isascii() and (value.isprintable())):
                raise ConfigError(f"the value of {name} holds characters that an HTTP header cannot carry")

    def _check_url(self) -> None:
        if not is_web_address(self.base_url):
            raise ConfigError(
                "base_url is not an http or https address",
                hint='give it as in base_url = "https://api.openai.com/v1"',
            )


def _require(fine: bool, name: str, value: object, rule: str = "must be above 0") -> None:
    if not fine:
        raise ConfigError(f"encoder {name} = {value!r}: {rule}")
