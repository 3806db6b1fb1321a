"""Adapters that turn texts into vectors. Importing this package loads no client library."""

from ragwatch.encoders.models import ModelLocation, Origin, resolve_model
from ragwatch.encoders.settings import DEFAULT_MODEL, EndpointSettings, SentenceTransformerSettings
from ragwatch.ports import Encoder

__all__ = [
    "DEFAULT_MODEL",
    "EndpointSettings",
    "ModelLocation",
    "Origin",
    "SentenceTransformerSettings",
    "open_encoder",
    "resolve_model",
]


def open_encoder(settings: SentenceTransformerSettings | EndpointSettings) -> Encoder:
    """Return the encoder that the settings describe. Nothing is loaded and nobody is called yet."""
    if isinstance(settings, EndpointSettings):
        from ragwatch.encoders.openai_compatible import EndpointEncoder

        return EndpointEncoder(settings)
    from ragwatch.encoders.sentence_transformers import SentenceTransformerEncoder

    return SentenceTransformerEncoder(settings)
