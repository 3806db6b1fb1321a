"""How long a text may be, found by trying."""

from collections.abc import Iterator

import numpy as np
import pytest

from ragwatch.auditing.window import longest_read
from ragwatch.encoders import EndpointSettings
from ragwatch.encoders.openai_compatible import EndpointEncoder
from ragwatch.ports import Vectors
from tests.fakes.hash_encoder import HashEncoder
from tests.servers.embeddings import EmbeddingServer, Status


@pytest.mark.parametrize("tokens", [8, 100, 254])
def test_what_is_read_whole_costs_one_look(tokens: int) -> None:
    encoder = HashEncoder()
    assert longest_read(encoder, tokens).whole
    assert encoder.calls == 1


@pytest.mark.parametrize("window", [20, 40, 200, 250])
def test_a_window_that_cuts_silently_is_found(window: int) -> None:
    found = longest_read(HashEncoder(window=window), 254)
    assert "is cut: its last words do not change the vector" in found.fault
    assert 0.8 * window <= found.fits <= window
    assert longest_read(HashEncoder(window=window), found.fits).whole


class Noisy(HashEncoder):
    """Gives a vector that depends a little on what else is in the batch."""

    def encode(self, texts, *, kind="passage"):  # type: ignore[no-untyped-def]
        rows: Vectors = super().encode(texts, kind=kind)
        noise = np.random.default_rng(len(texts)).normal(0, 2e-4, rows.shape)
        return (rows + noise).astype(np.float32)


def test_noise_is_not_taken_for_the_last_words() -> None:
    assert not longest_read(Noisy(window=40), 254).whole


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer(HashEncoder()).running() as running:
        yield running


def endpoint(server: EmbeddingServer) -> EndpointEncoder:
    return EndpointEncoder(EndpointSettings(server.base_url, server.model, dimensions=64), sleep=lambda _: None)


class RefusesLong(EmbeddingServer):
    """Answers 500 where a text has more words than it has room for."""

    def verdict(self, request):  # type: ignore[no-untyped-def]
        long = any(len(text.split()) > 60 for text in request.texts)
        return Status(500, body='{"error": {"code": "server_error"}}') if long else super().verdict(request)


def test_the_limit_of_an_endpoint_is_learnt_from_its_errors() -> None:
    with RefusesLong(HashEncoder()).running() as server:
        encoder = endpoint(server)
        found = longest_read(encoder, 254)
        words = len(" ".join(["pump"] * 60))
        assert "is refused: " in found.fault
        assert "HTTP 500 (server_error)" in found.fault
        assert found.fits * 4 <= words * 2
        assert longest_read(encoder, found.fits).whole
        encoder.close()


def test_an_endpoint_that_counts_less_than_it_was_given_has_cut(server: EmbeddingServer) -> None:
    """Its vectors do not show it: what is cut is noise to it."""
    server.counts_tokens = lambda texts: sum(min(50, len(text.split())) + 2 for text in texts)
    encoder = endpoint(server)
    found = longest_read(encoder, 254)
    assert "its endpoint read 52 of about" in found.fault
    assert 0 < found.fits < 120
    encoder.close()


def test_an_endpoint_that_counts_characters_cuts_nothing(server: EmbeddingServer) -> None:
    server.counts_tokens = lambda texts: sum(map(len, texts))
    encoder = endpoint(server)
    assert longest_read(encoder, 254).whole
    encoder.close()
