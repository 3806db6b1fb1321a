"""Reading the answer of an `/embeddings` endpoint, trusting nothing in it."""

import base64
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragwatch.corpus.identity import Json

_ERROR_CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+){0,8}")


class BadAnswerError(Exception):
    """A successful answer that is not one vector for each text; the message says in which way."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Vectors in the order of the texts, shape (texts, dimension), and what the server says beside them."""

    rows: NDArray[np.float64]
    model: str
    """The model that the server says it used."""
    tokens: int | None = None
    """`usage.prompt_tokens`; None where the server does not count."""


def read_answer(body: bytes, count: int, secrets: Collection[str] = ()) -> Answer:
    """Read an answer to `count` texts. Values may be NaN or infinite; the caller judges them.

    Vectors are paired with texts by `index`, which must name every text once; numbers that count from 1 are taken
    for what they mean. The vector of a single text needs none. Raises `BadAnswerError` where it is no embeddings
    answer, not one vector per text, all of one length, or where the pairing would be a guess.
    """
    try:
        answer = json.loads(body)
        if "error" in answer and "data" not in answer:
            raise BadAnswerError(f"an error in place of vectors{error_code(answer, secrets)}")
        entries = answer["data"]
        indexes = [entry.get("index") for entry in entries]
        vectors = [_vector(entry["embedding"]) for entry in entries]
        model, tokens = answer.get("model", ""), _tokens(answer.get("usage"))
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        raise BadAnswerError("an answer that is not a list of embeddings") from None
    if len(vectors) != count:
        raise BadAnswerError(f"{len(vectors)} vectors for {count} texts")
    shapes = {vector.shape for vector in vectors}
    if len(shapes) != 1 or len(vectors[0].shape) != 1 or not vectors[0].size:
        raise BadAnswerError("vectors of different lengths, or empty ones")
    rows = np.empty((count, len(vectors[0])))
    rows[_order(indexes)] = vectors
    return Answer(rows, model if isinstance(model, str) else "", tokens)


def error_code(answer: Json, secrets: Collection[str]) -> str:
    """Return the error code of an answer in brackets, if it has one that is a plain word and reveals nothing."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return ""
    code = error.get("code") or error.get("type")
    if not isinstance(code, str) or len(code) > 48 or not _ERROR_CODE.fullmatch(code):
        return ""
    revealing = any(secret in code or code in secret for secret in secrets)
    return "" if revealing else f" ({code})"


def _order(indexes: Sequence[Json]) -> list[int]:
    """Return the place of the text that each vector is of."""
    if len(indexes) == 1:
        return [0]
    numbers = [number for number in indexes if type(number) is int]
    first = min(numbers, default=0)
    if len(numbers) != len(indexes) or first not in (0, 1) or sorted(numbers) != [*range(first, first + len(indexes))]:
        raise BadAnswerError("vectors that do not say which text they are of")
    return [number - first for number in numbers]


def _tokens(usage: Json) -> int | None:
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return tokens if type(tokens) is int and tokens > 0 else None


def _vector(value: Json) -> NDArray[np.float64]:
    """Numbers, or base64 of little-endian float32. null stands for a number that JSON cannot carry."""
    if isinstance(value, str):
        return np.frombuffer(base64.b64decode(value, validate=True), dtype="<f4").astype(np.float64)
    return np.asarray(value, dtype=np.float64)
