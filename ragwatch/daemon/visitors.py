"""Who may see the daemon's pages: by which name they ask for them, and with which token.

A page in somebody's browser can point a name of its own at our address and read what we answer, as if we were its own
server (DNS rebinding). It needs a name for that, so addresses are welcome, and of names those that are ours.
"""

import base64
import binascii
import hmac
from collections.abc import Collection
from urllib.parse import urlsplit

from ragwatch.words.addresses import is_ip_address


def is_known_host(header: str, known: Collection[str]) -> bool:
    """Return whether a `Host` header names us: not at all, by an address, by localhost, or by one of the names."""
    name = host_of(header)
    if name is None:
        return False
    return not name or name in known or name == "localhost" or name.endswith(".localhost") or is_ip_address(name)


def host_of(header: str) -> str | None:
    """Return the name without port, brackets and final dot, in small letters; None where it cannot be read."""
    try:
        parts = urlsplit(f"//{header.strip()}")
        _ = parts.port
        whole = parts.netloc == header.strip() and "@" not in parts.netloc
        return (parts.hostname or "").lower().rstrip(".") if whole else None
    except ValueError:
        return None


def host_of_url(url: str) -> str:
    """Return the host of an address, "" where it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_let_in(header: str, token: str | None) -> bool:
    """Return whether an `Authorization` header carries the token: as Bearer, or as the password of Basic."""
    if token is None:
        return True
    kind, _, given = header.strip().partition(" ")
    if kind.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif kind.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode("utf-8", "replace"))
