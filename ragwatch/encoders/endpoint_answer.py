"""Reading the answer of an `/embeddings` endpoint, trusting nothing in it."""

import base64
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragwatch.corpus.identity import Json
from ragwatch.errors import EncoderError


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Vectors in the order of the texts, shape (texts, dimension), and the model that the server says it used."""

    rows: NDArray[np.float64]
    model: str


def read_answer(body: bytes, count: int, address: str) -> Answer:
    """Read an answer to `count` texts. Values may be NaN or infinite; the caller judges them.

    Raises `EncoderError` where it is not an embeddings answer, or not one vector per text, all of one length.
    """
    try:
        answer = json.loads(body)
        entries = answer["data"]
        order = [entry.get("index", place) for place, entry in enumerate(entries)]
        vectors = [_vector(entry["embedding"]) for entry in entries]
        model = answer.get("model", "")
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        raise EncoderError(
            f"encoder endpoint {address} answered something that is not a list of embeddings",
            hint="check that base_url belongs to an OpenAI-compatible embeddings API",
        ) from None
    if any(type(place) is not int for place in order) or sorted(order) != list(range(count)):
        raise EncoderError(f"encoder endpoint {address} answered {count} texts with {len(order)} misnumbered vectors")
    shapes = {vector.shape for vector in vectors}
    if len(shapes) != 1 or len(vectors[0].shape) != 1 or not vectors[0].size:
        raise EncoderError(f"encoder endpoint {address} answered vectors of different lengths, or empty ones")
    rows = np.empty((count, len(vectors[0])))
    rows[np.asarray(order, dtype=np.int64)] = vectors
    return Answer(rows, model if isinstance(model, str) else "")


def _vector(value: Json) -> NDArray[np.float64]:
    """Numbers, or base64 of little-endian float32. null stands for a number that JSON cannot carry."""
    if isinstance(value, str):
        return np.frombuffer(base64.b64decode(value, validate=True), dtype="<f4").astype(np.float64)
    return np.asarray(value, dtype=np.float64)
