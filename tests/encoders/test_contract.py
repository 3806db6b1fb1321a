"""The encoder contract on the fake, on the real model, and on endpoints that serve both."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragwatch.encoders import SentenceTransformerSettings
from ragwatch.encoders.openai_compatible import EndpointEncoder
from ragwatch.encoders.sentence_transformers import SentenceTransformerEncoder
from tests.encoders.contract import EncoderContract, Subject
from tests.fakes.hash_encoder import HashEncoder
from tests.servers.embeddings import EmbeddingServer

SMALL = {"batch_texts": 4, "batch_characters": 2000}


class TestFake(EncoderContract):
    @pytest.fixture
    def subject(self) -> Subject:
        return Subject(HashEncoder(poison=("unspeakable",)), poison="an unspeakable text")


class TestFakeWithWindowAndPrompts(EncoderContract):
    @pytest.fixture
    def subject(self) -> Subject:
        return Subject(HashEncoder(window=20, passage_prompt="passage: ", query_prompt="query: "))


class TestModel(EncoderContract):
    @pytest.fixture
    def subject(self, minilm: SentenceTransformerEncoder) -> Subject:
        return Subject(minilm)


class TestStaticModel(EncoderContract):
    @pytest.fixture
    def subject(self, static_folder: Path) -> Subject:
        settings = SentenceTransformerSettings(str(static_folder), device="cpu")
        return Subject(SentenceTransformerEncoder(settings), poison="nan")


class TestEndpoint(EncoderContract):
    @pytest.fixture
    def subject(self, server: EmbeddingServer, endpoint: Callable[..., EndpointEncoder]) -> Subject:
        server.refused_text = "unspeakable"
        return Subject(endpoint(**SMALL), poison="an unspeakable text")


class TestEndpointInBase64(EncoderContract):
    @pytest.fixture
    def subject(self, endpoint: Callable[..., EndpointEncoder]) -> Subject:
        return Subject(endpoint(**SMALL, encoding_format="base64", passage_prefix="passage: ", max_tokens=200))


class TestEndpointOfModel(EncoderContract):
    @pytest.fixture
    def subject(
        self, minilm: SentenceTransformerEncoder, endpoint: Callable[..., EndpointEncoder], model_server: str
    ) -> Subject:
        tokenizer = str(minilm.location.folder)
        return Subject(endpoint(**SMALL, base_url=model_server, tokenizer=tokenizer, max_tokens=minilm.max_tokens))

    @pytest.fixture
    def model_server(self, minilm: SentenceTransformerEncoder) -> Iterator[str]:
        with EmbeddingServer(minilm).running() as running:
            yield running.base_url
