"""Where a Qdrant server is and how to talk to it, checked before anything is connected."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ragwatch.errors import ConfigError
from ragwatch.index.spec import Layout
from ragwatch.stores.sparse import SparseSettings

DEFAULT_PORT = 6333
"""What the client assumes where the URL names no port, for https too."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """A Qdrant server. Raises `ConfigError` where a value breaks a rule; the key never appears in a text."""

    url: str
    """`http` or `https`, host, optional port and path; no credentials, query or fragment."""
    api_key: str = field(default="", repr=False)
    api_key_name: str = "store.api_key_env"
    """What error messages call the key: the variable, file or setting that it comes from."""
    prefer_grpc: bool = False
    grpc_port: int = 6334
    timeout: float = 30.0
    """Seconds for one request."""
    vector_name: str = ""
    layout: Layout = Layout.PLAIN
    sparse: SparseSettings | None = None

    def __post_init__(self) -> None:
        _check_url(self.url)
        if not (self.api_key.isascii() and self.api_key.isprintable() and self.api_key == self.api_key.strip()):
            fact = f"the API key of {self.api_key_name} holds spaces around it, control or non-ASCII characters"
            raise ConfigError(fact, hint="look for a stray newline or quote where it is set")
        if self.timeout <= 0:
            raise ConfigError(f"store.timeout_s is {self.timeout}; it must be more than 0")


def _check_url(url: str) -> None:
    if "@" in url:
        hint = "give the key through store.api_key_env or store.api_key_file"
        raise ConfigError("store.url holds a user name or a password", hint=hint)
    if "?" in url or "#" in url:
        raise ConfigError("store.url holds a query or a fragment", hint="end it after the host, the port and the path")
    if "://" not in url:
        raise ConfigError(f"store.url {url!r} has no scheme", hint=f"write http://{url} or https://{url}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(
            f"store.url {url!r} is not a URL: {error}", hint="for example http://localhost:6333"
        ) from None
    if parts.scheme not in ("http", "https"):
        hint = "write http:// or https://, and set store.grpc = true to use gRPC"
        raise ConfigError(f"store.url {url!r} has scheme {parts.scheme!r}", hint=hint)
    if not host or any(character.isspace() for character in url):
        raise ConfigError(f"store.url {url!r} names no host", hint="for example http://localhost:6333")
    if port == 0:
        raise ConfigError(f"store.url {url!r} names port 0")
