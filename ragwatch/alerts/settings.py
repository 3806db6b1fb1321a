"""What a channel is told about itself. Address and token are secrets: no representation shows them."""

import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal
from urllib.parse import urlsplit

from ragwatch.errors import ConfigError
from ragwatch.words.addresses import is_web_address

Kind = Literal["slack", "slack-bot", "webhook", "alertmanager", "pagerduty"]

SLACK_API = "https://slack.com/api"
PAGERDUTY_EVENTS = "https://events.pagerduty.com/v2/enqueue"
_ROUTING_KEY = 32
_DEFAULT_URL = {"slack-bot": SLACK_API, "pagerduty": PAGERDUTY_EVENTS}
_ROUNDS = 100_000


@dataclass(frozen=True)
class ChannelSettings:
    """One channel with its secrets read. Raises `ConfigError` that names what holds a secret, never the secret."""

    name: str
    kind: Kind
    url: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    url_name: str = "url_env"
    """What error messages call the address."""
    token_name: str = "token_env"  # noqa: S105
    slack_channel: str = ""
    timeout_s: float = 10.0
    """For one request as a whole."""
    pace_s: float = 1.0
    """Slack takes about one message a second."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", self.url or _DEFAULT_URL.get(self.kind, ""))
        if not is_web_address(self.url):
            raise ConfigError(
                f"channel {self.name}: what {self.url_name} holds is not an address",
                hint="it must begin with https:// and have no white space; the value is a secret and not shown",
            )
        plain = self.kind == "webhook" or re.fullmatch(r"[\x21-\x7e]*", self.token)
        if not plain or (self.kind in _DEFAULT_URL and not self.token):
            raise ConfigError(
                f"channel {self.name}: what {self.token_name} holds is not a token",
                hint="a token has no white space and no characters beyond ASCII; copy it again",
            )
        if self.kind == "pagerduty" and len(self.token) != _ROUTING_KEY:
            raise ConfigError(
                f"channel {self.name}: what {self.token_name} holds has {len(self.token)} characters; a routing key "
                f"has {_ROUTING_KEY}",
                hint="take the integration key of an Events API v2 integration",
            )

    @property
    def where(self) -> str:
        """The server, for people: the path of an address is often the secret itself."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @cached_property
    def fingerprint(self) -> str:
        """Tells whether address or token changed. Slow on purpose: it is stored, and keys can be guessable."""
        secret = "\0".join((self.kind, self.url, self.token, self.slack_channel)).encode("utf-8", "surrogatepass")
        return hashlib.pbkdf2_hmac("sha256", secret, f"ragwatch channel {self.name}".encode(), _ROUNDS, 8).hex()
