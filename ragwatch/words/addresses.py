"""Addresses: which are usable, and keeping passwords, keys and tokens in them out of every message."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit, urlunsplit

MASK = "***"

_SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|key|sig|cred|auth|sas|conn(ection)?_?str|cookie|header", re.IGNORECASE
)
_USERINFO = re.compile(r"://([^:/@?#]*)(?::([^/?#\s]*|[^@]*))?@")
_CHAINED = re.compile(r"::(?=[\w+.-]*://|[/~.])")
"""Between the links of an fsspec URL; elsewhere `::` may be part of a password."""
_PARAMETER = re.compile(r"[?&;]([^=&;#\s]+)=([^&;#\s]*)")


def is_web_address(url: str) -> bool:
    """Return whether an HTTP client can use it: http or https, a host, a port that exists, nothing unprintable."""
    if re.search(r"[\s\x00-\x1f\x7f]", url) or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        # Raises where a part of the name is empty or too long, as the client would when it connects.
        (parts.hostname or "").encode("idna")
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_ip_address(host: str) -> bool:
    """Return whether a host is given by its number, without brackets."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether a host, by name or number, is this machine as seen from itself."""
    name = host.strip("[]").lower()
    if is_ip_address(name):
        return ipaddress.ip_address(name).is_loopback
    return name == "localhost" or name.endswith(".localhost")


def public_address(url: str) -> str:
    """Return the part of a web address that may be shown: without user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Redactor:
    """Replaces the secrets of one address and its options in a text, also in their percent-encoded forms."""

    def __init__(self, url: str, options: Mapping[str, object] | None = None) -> None:
        found = {*_url_secrets(url), *_option_secrets(options or {})}
        spelled = {form for secret in found for form in _spellings(secret) if form}
        # Longest first: a secret may be part of another.
        self._pattern = re.compile(
            "|".join(re.escape(form) for form in sorted(spelled, key=len, reverse=True)) or "(?!)"
        )
        self.url = self(url)

    def __call__(self, text: str) -> str:
        return self._pattern.sub(MASK, text)

    def __repr__(self) -> str:
        return f"Redactor({self.url!r})"


def _url_secrets(url: str) -> Iterator[str]:
    for link in _CHAINED.split(url):
        for user, password in _USERINFO.findall(link):
            if password:
                yield password
            elif link.startswith("http"):
                yield user
    for name, value in _PARAMETER.findall(url):
        if _SECRET_NAME.search(name):
            yield value


def _option_secrets(options: Mapping[str, object]) -> Iterator[str]:
    for name, value in options.items():
        if _SECRET_NAME.search(str(name)):
            yield from _leaves(value)
        elif isinstance(value, Mapping):
            yield from _option_secrets(value)
        elif isinstance(value, str):
            yield from _url_secrets(value)


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, str):
        yield value
        yield value.rpartition(" ")[2]


def _spellings(secret: str) -> set[str]:
    plain = {secret, unquote(secret), unquote_plus(secret)}
    return plain | {quote(form, safe="") for form in plain} | {quote_plus(form) for form in plain}
