"""Mistakes in a server's URL and key are told before anything is connected, and without the secret."""

import pytest

from ragwatch.errors import ConfigError
from ragwatch.stores.server_settings import ServerSettings


@pytest.mark.parametrize(
    ("url", "fact", "hint"),
    [
        ("localhost:6333", "has no scheme", "http://localhost:6333"),
        ("qdrant", "has no scheme", "https://qdrant"),
        ("grpc://localhost:6334", "scheme 'grpc'", "store.grpc"),
        ("http://", "names no host", "http://localhost:6333"),
        ("http://local host:6333", "names no host", ""),
        ("http://localhost:port", "is not a URL", ""),
        ("http://localhost:99999", "is not a URL", ""),
        ("http://[::1", "is not a URL", ""),
        ("http://localhost:0", "port 0", ""),
    ],
)
def test_a_url_that_cannot_work_is_refused_with_the_remedy(url: str, fact: str, hint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        ServerSettings(url)
    assert fact in raised.value.fact
    assert url in raised.value.fact
    assert hint in raised.value.hint


@pytest.mark.parametrize("url", ["http://me:hunter2@host:6333", "http://host:6333?api-key=hunter2", "host#hunter2"])
def test_a_url_that_holds_a_secret_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        ServerSettings(url)
    assert "hunter2" not in raised.value.fact + raised.value.hint


@pytest.mark.parametrize("key", ["hunter2\n", " hunter2", "hünter2", "hun\tter2"])
def test_a_key_that_no_header_can_carry_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(ConfigError) as raised:
        ServerSettings("http://host", api_key=key, api_key_name="QDRANT_KEY")
    assert "QDRANT_KEY" in raised.value.fact
    assert "ter2" not in raised.value.fact + raised.value.hint


def test_the_key_is_in_no_representation() -> None:
    assert "hunter2" not in repr(ServerSettings("http://host", api_key="hunter2"))


def test_a_timeout_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="timeout"):
        ServerSettings("http://host", timeout=0)


@pytest.mark.parametrize("url", ["http://localhost", "https://cloud.example:6333", "http://[::1]:6333/prefix"])
def test_good_urls_pass(url: str) -> None:
    assert ServerSettings(url).url == url
