"""Which addresses can be used, and what of them may be shown."""

import pytest

from ragwatch.words.addresses import is_web_address, public_address


@pytest.mark.parametrize(
    "url",
    ["http://localhost:6333", "https://user:pass@host.example/v1?key=x", "http://[::1]:80/", "https://bücher.example"],
)
def test_addresses(url: str) -> None:
    assert is_web_address(url)


@pytest.mark.parametrize(
    "url",
    ["", "host", "ftp://host", "http://", "http://a:0", "http://a:99999", "http://[::1", "http://a b", "http://a\0b/",
     "http://a/\x1b", "http://a/\u202e", "http://a\n", "sqlite:///x", "http://a..b/", f"http://{'a' * 64}.example/"],
)  # fmt: skip
def test_what_is_no_address_of_the_web(url: str) -> None:
    assert not is_web_address(url)


def test_only_the_public_part_is_shown() -> None:
    assert public_address("https://me:secret@host.example:8443/v1/ask?key=secret#secret") == (
        "https://host.example:8443/v1/ask"
    )
