"""The judge: a model behind an OpenAI-compatible `/chat/completions` endpoint."""

from dataclasses import dataclass, field
from typing import Literal

from ragwatch.errors import ConfigError
from ragwatch.words.addresses import is_web_address

AnswerFormat = Literal["json_object", "json_schema", "text"]


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """Who judges, how often, and what it may cost. Raises `ConfigError` where a value breaks its rule.

    `base_url` and `api_key` may hold secrets and are left out of the representation.
    """

    base_url: str = field(repr=False)
    """Up to and without `/chat/completions`."""
    model: str
    api_key: str = field(default="", repr=False)
    api_key_name: str = ""
    """Where the key came from, to be named when the endpoint refuses it."""
    max_tokens: int = 1024
    """Of one answer."""
    temperature: float = 0.01
    """This and `top_p` are what RAGAS itself asks for. A model that refuses a parameter is asked without it."""
    top_p: float = 0.1
    answer_format: AnswerFormat = "json_object"
    """`json_schema` makes servers that can constrain an answer do so. "text" asks for nothing."""
    repeats: int = 3
    concurrency: int = 4
    requests_per_minute: float | None = None
    timeout_s: float = 60.0
    """From sending a request to the last byte of its answer."""
    retries: int = 3
    budget_tokens: int | None = None
    price_per_million_tokens: float | None = None
    budget: float | None = None
    currency: str = "USD"

    def __post_init__(self) -> None:
        object.__setattr__(self, "api_key", self.api_key.strip())
        if not is_web_address(self.base_url):
            raise ConfigError("judge base_url is not an http or https address")
        if not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ConfigError("the judge's API key holds characters that an HTTP header cannot carry")
        for name in ("max_tokens", "repeats", "concurrency", "timeout_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"judge {name} = {getattr(self, name)!r}: must be above 0")
        for name in ("requests_per_minute", "budget_tokens", "budget"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise ConfigError(f"judge {name} = {getattr(self, name)!r}: must be above 0")
        if self.budget is not None and self.price_per_million_tokens is None:
            raise ConfigError("judge budget needs price_per_million_tokens")
