"""The encoder that asks an endpoint: retries, refusals, answers that are not what they should be."""

import gc
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragwatch.encoders import EndpointSettings, open_encoder
from ragwatch.encoders.openai_compatible import EndpointEncoder
from ragwatch.encoders.retries import LONGEST_PAUSE, LONGEST_RETRY_AFTER, pause
from ragwatch.errors import ConfigError, EncoderError, EncoderInputError, UnreachableError
from ragwatch.ports import encode_each
from tests.fakes.hash_encoder import HashEncoder
from tests.servers.embeddings import Changed, EmbeddingServer, Hang, Raw, Request, Reset, Status

Make = Callable[..., EndpointEncoder]
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
TEXTS = [f"text number {place}" for place in range(10)]


# --- retries -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [425, 429, 503, 529])
def test_a_busy_endpoint_is_waited_for(
    server: EmbeddingServer, endpoint: Make, pauses: list[float], status: int
) -> None:
    server.script.extend([Status(status)] * 3)
    assert endpoint().encode(TEXTS).shape == (10, 64)
    assert pauses == [0.5, 1.0, 2.0]
    assert server.batch_sizes == [10, 10, 10, 10], "a busy endpoint is no reason for smaller batches"


@pytest.mark.parametrize("failure", [Status(500), Status(502), Reset(), Raw("{"), Raw("")])
def test_what_fails_once_is_tried_again(
    server: EmbeddingServer, endpoint: Make, pauses: list[float], failure: Any
) -> None:
    server.script.append(failure)
    assert endpoint().encode(TEXTS).shape == (10, 64)
    assert pauses == [0.5]
    assert server.batch_sizes == [10, 10]


def test_the_defaults_outlast_a_start_of_a_minute(server: EmbeddingServer) -> None:
    """However short the jitter makes the pauses; the server says 503 until it has been waited for so long."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        server.always = Status(503) if sum(slept) < 60 else None

    server.always = Status(503)
    settings = EndpointSettings(server.base_url, server.model)
    encoder = EndpointEncoder(settings, sleep=sleep, timer=lambda: sum(slept), jitter=lambda: 0.0)
    assert encoder.encode(TEXTS).shape == (10, 64)
    encoder.close()


def test_patience_ends_before_the_attempts_do(server: EmbeddingServer) -> None:
    slept: list[float] = []
    server.always = Status(503)
    settings = EndpointSettings(server.base_url, server.model, attempts=100, patience=3.0)
    encoder = EndpointEncoder(settings, sleep=slept.append, timer=lambda: sum(slept), jitter=lambda: 1.0)
    with pytest.raises(UnreachableError, match="4 times in a row"):
        encoder.encode(TEXTS)
    assert slept == [0.5, 1.0, 2.0]
    encoder.close()


def test_retry_after_is_honoured_and_bounded_by_a_setting(
    server: EmbeddingServer, endpoint: Make, pauses: list[float]
) -> None:
    server.script.extend(Status(429, {"Retry-After": value}) for value in ("7", "0", "3600"))
    endpoint(longest_pause=20.0).encode(TEXTS)
    assert pauses == [7.0, 0.0, 20.0]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Thu, 01 Jan 2026 12:00:20 GMT", 20.0),
        ("Thu, 01 Jan 2026 11:59:00 GMT", 0.0),
        ("Thu, 01 Jan 2026 14:00:20 +0200", 20.0),
        ("Fri, 01 Jan 2027 12:00:00 GMT", LONGEST_RETRY_AFTER),
        ("Thursday, 01-Jan-26 12:00:20 GMT", 20.0),
        ("Thu Jan  1 12:00:20 2026", 20.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
        ("Fri, 31 Dec 99999 23:59:59 GMT", LONGEST_RETRY_AFTER),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("Thu, 32 Jan 2026 12:00:00 GMT", 2.0),
        ("Thu, 01 Jan 2026 12:00:00 +99999999999", 2.0),
        ("1e400", LONGEST_RETRY_AFTER),
        ("9" * 5000, LONGEST_RETRY_AFTER),
        ("-1e400", 0.0),
        ("", 2.0),
        ("\x00", 2.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("soon", 2.0),
        ("nan", 2.0),
        (None, 2.0),
    ],
)
def test_a_pause_follows_the_server_or_doubles(header: str | None, seconds: float) -> None:
    assert pause(2, header, NOW, lambda: 1.0) == seconds


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ ([A-Z]{3}|[+-]\d+)"))
def test_no_header_is_a_traceback(header: str) -> None:
    assert 0 <= pause(0, header, NOW, lambda: 1.0, longest=9.0) <= 9


def test_pauses_are_spread_and_bounded() -> None:
    assert pause(0, None, NOW, lambda: 0.0) == 0.25
    assert pause(10_000, None, NOW, lambda: 1.0) == LONGEST_PAUSE


@pytest.mark.parametrize("behaviour", [Status(500), Status(503), Reset(), Hang(), Raw("{"), Raw('{"error": {}}')])
def test_a_server_that_keeps_failing_is_unreachable(
    server: EmbeddingServer, endpoint: Make, pauses: list[float], behaviour: Any
) -> None:
    server.always = behaviour
    with pytest.raises(UnreachableError, match=f"{server.base_url}/embeddings: .*, 3 times in a row"):
        endpoint(attempts=3, timeout=0.3 if isinstance(behaviour, Hang) else 5.0).encode(TEXTS)
    assert len(pauses) == 2
    assert [size for size in server.batch_sizes if size > 1] == [10, 10, 10], "there is nothing to blame a text for"


def test_nobody_listening_is_unreachable(endpoint: Make) -> None:
    with pytest.raises(UnreachableError, match="no connection"):
        endpoint(base_url="http://127.0.0.1:9/v1", attempts=2).encode(TEXTS)


def test_after_a_failure_no_further_requests_are_begun(server: EmbeddingServer, endpoint: Make) -> None:
    server.always = Status(500)
    with pytest.raises(UnreachableError):
        endpoint(batch_texts=2, in_flight=2, attempts=2).encode(TEXTS * 5)
    assert len([size for size in server.batch_sizes if size > 1]) <= 8


# --- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_name_the_variable_and_are_not_tried_again(
    server: EmbeddingServer, endpoint: Make, status: int
) -> None:
    server.always = Status(status)
    with pytest.raises(UnreachableError) as caught:
        endpoint(api_key="wrong", api_key_name="EMBED_KEY").encode(TEXTS)
    assert "EMBED_KEY is set but not accepted" in caught.value.fact
    assert caught.value.hint == "set EMBED_KEY"
    assert len(server.requests) == 1


def test_a_missing_key_is_called_missing(server: EmbeddingServer, endpoint: Make) -> None:
    server.api_key = "right"
    with pytest.raises(UnreachableError, match="EMBED_KEY is not set"):
        endpoint(api_key_name="EMBED_KEY").encode(TEXTS)
    assert endpoint(api_key="right\n").encode(TEXTS).shape == (10, 64)


def test_an_unknown_model_is_named_with_the_address(endpoint: Make) -> None:
    with pytest.raises(EncoderError, match=r"/v1/embeddings: HTTP 404 \(model_not_found\) for model 'gone'") as caught:
        endpoint(model="gone").encode(TEXTS)
    assert "/v1" in caught.value.hint


def test_redirects_are_not_followed(server: EmbeddingServer, endpoint: Make) -> None:
    server.always = Status(307, {"Location": "http://127.0.0.1:9/"})
    with pytest.raises(EncoderError, match=r"HTTP 307.* a redirect, which is not followed"):
        endpoint().encode(TEXTS)
    assert len(server.requests) == 1


def test_any_other_refusal_is_an_error_at_once(server: EmbeddingServer, endpoint: Make) -> None:
    server.always = Status(405)
    with pytest.raises(EncoderError, match="HTTP 405"):
        endpoint().encode(TEXTS)
    assert len(server.requests) == 1


def test_too_many_texts_are_sent_in_halves_and_the_limit_is_learnt(server: EmbeddingServer, endpoint: Make) -> None:
    server.max_texts = 4
    encoder = endpoint(in_flight=1)
    expected = HashEncoder().encode(TEXTS)
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-6)
    assert server.batch_sizes == [10, 5, 3, 2, 5, 3, 2]
    server.requests.clear()
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-6)
    assert server.batch_sizes == [3, 3, 3, 1]


@pytest.mark.parametrize("status", [400, 413, 422, 500, 502])
def test_one_refused_text_is_found_and_the_others_get_their_vectors(
    server: EmbeddingServer, endpoint: Make, status: int
) -> None:
    server.refused_text, server.refusal = "number 6", status
    encoder = endpoint(in_flight=1)
    with pytest.raises(EncoderInputError, match=rf"HTTP {status} \(too_long\) for text 7 of 10") as caught:
        encoder.encode(TEXTS)
    assert "number" not in caught.value.fact + "".join(caught.value.refused.values())
    found = encode_each(encoder, TEXTS)
    assert list(found.refused) == [6]
    assert found.rows[6] is None
    rows = np.stack([row for row in found.rows if row is not None])
    np.testing.assert_allclose(rows, np.delete(HashEncoder().encode(TEXTS), 6, axis=0), atol=1e-6)
    server.requests.clear()
    encoder.encode(TEXTS[:6])
    assert server.batch_sizes == [6], "a refused text is no reason for smaller batches"


@pytest.mark.parametrize("status", [400, 422])
def test_an_endpoint_that_refuses_everything_is_misconfigured(
    server: EmbeddingServer, endpoint: Make, status: int
) -> None:
    server.always = Status(status)
    with pytest.raises(EncoderError, match=f"refuses even a single word: HTTP {status}"):
        endpoint(in_flight=1).encode(TEXTS)


# --- answers -------------------------------------------------------------------------------------------------


def test_answers_are_ordered_by_index(server: EmbeddingServer, endpoint: Make) -> None:
    server.always = Changed(lambda entries: entries.reverse())
    np.testing.assert_allclose(endpoint().encode(TEXTS), HashEncoder().encode(TEXTS), atol=1e-6)


def number_from_one(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        entry["index"] += 1
    entries.reverse()


def number_all_zero(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        entry["index"] = 0
    entries.reverse()


def leave_numbers_out(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        del entry["index"]
    entries.reverse()


def test_indexes_that_count_from_one_are_shifted(server: EmbeddingServer, endpoint: Make) -> None:
    server.always = Changed(number_from_one)
    np.testing.assert_allclose(endpoint().encode(TEXTS), HashEncoder().encode(TEXTS), atol=1e-6)
    assert server.batch_sizes == [10]


@pytest.mark.parametrize("change", [number_all_zero, leave_numbers_out])
def test_where_nothing_says_which_vector_is_whose_texts_go_one_by_one(
    server: EmbeddingServer, endpoint: Make, change: Callable[[list[dict[str, Any]]], object]
) -> None:
    """The server gives the vectors in another order than the texts: taking them as they come would pair them wrong."""
    server.always = Changed(change)
    encoder = endpoint(in_flight=1)
    np.testing.assert_allclose(encoder.encode(TEXTS), HashEncoder().encode(TEXTS), atol=1e-6)
    server.requests.clear()
    encoder.encode(TEXTS)
    assert server.batch_sizes == [1] * 10, "the detour is made once"


def test_base64_gives_the_same_vectors(server: EmbeddingServer, endpoint: Make) -> None:
    np.testing.assert_array_equal(endpoint(encoding_format="base64").encode(TEXTS), HashEncoder().encode(TEXTS))
    assert server.requests[0].body["encoding_format"] == "base64"


def put(key: str, value: Any) -> Changed:
    """Change the second entry, where there is one."""
    return Changed(lambda entries: [entry.update({key: value}) for entry in entries[1:2]])


BAD_ANSWERS = [
    Changed(list.clear),
    Changed(lambda entries: entries.append(entries[0])),
    put("index", 0),
    put("index", 99),
    put("index", "1"),
    put("index", True),
    put("index", None),
    put("embedding", [1.0]),
    put("embedding", []),
    put("embedding", [[1.0] * 64]),
    put("embedding", ["a"] * 64),
    put("embedding", [10**400] * 64),
    put("embedding", "not base64"),
    put("embedding", {}),
    Changed(lambda entries: [entry.update(embedding=[]) for entry in entries]),
    Changed(lambda entries: entries[0].pop("embedding")),
    Changed(lambda entries: [entry.update(embedding=[1.0] * 63) for entry in entries]),
    Changed(lambda entries: [entry.update(embedding=[0.0] * 64) for entry in entries]),
    put("embedding", [0.0] * 64),
    put("embedding", [None, *[0.1] * 63]),
    Raw('{"error": {"code": "overloaded"}}'),
    Raw('{"data": [{"index": 0, "embedding": [0.1, 0.'),
    Raw("<html>welcome</html>"),
    Raw(""),
    Raw("[]"),
    Raw("3"),
    Raw('{"data": 3}'),
    Raw('{"data": [1, 2, 3]}'),
    Raw("[" * 100_000),
    Status(500),
    Status(504),
    Reset(),
]
"""Each is no good for three texts; what is changed at the second entry is fine where there is only one."""


@pytest.mark.parametrize("behaviour", BAD_ANSWERS)
@pytest.mark.parametrize("times", [1, 2])
def test_a_bad_answer_is_asked_for_again(server: EmbeddingServer, endpoint: Make, behaviour: Any, times: int) -> None:
    server.script.extend([behaviour] * times)
    encoder = endpoint(expected_dimension=64)
    np.testing.assert_allclose(encoder.encode(TEXTS[:3]), HashEncoder().encode(TEXTS[:3]), atol=1e-6)


class TripsOver(EmbeddingServer):
    """Answers badly whatever holds one text."""

    def __init__(self, text: str, behaviour: Any) -> None:
        super().__init__(HashEncoder())
        self.text, self.behaviour = text, behaviour

    def arrived(self, request: Request) -> Any:
        super().arrived(request)
        return self.behaviour if any(self.text in text for text in request.texts) else None


@pytest.mark.parametrize("behaviour", [one for one in BAD_ANSWERS if one.__class__ is not Changed])
def test_a_text_that_is_always_answered_badly_is_refused_alone(endpoint: Make, behaviour: Any) -> None:
    with TripsOver("number 6", behaviour).running() as server:
        found = encode_each(endpoint(base_url=server.base_url), TEXTS)
    assert list(found.refused) == [6]
    assert all(row is not None for place, row in enumerate(found.rows) if place != 6)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, None])
def test_values_that_are_not_finite_cost_their_text(server: EmbeddingServer, endpoint: Make, value: Any) -> None:
    with TripsOver("number 1", spoil(value)).running() as server:
        found = encode_each(endpoint(base_url=server.base_url), TEXTS[:3])
    assert found.refused == {
        1: f"encoder endpoint {server.base_url}/embeddings refuses it: a vector that is not finite"
    }


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-300])
def test_a_zero_vector_costs_its_text(endpoint: Make, value: float) -> None:
    with TripsOver("number 1", spoil(value, 64)).running() as server:
        found = encode_each(endpoint(base_url=server.base_url), TEXTS[:3])
    assert found.refused == {1: f"encoder endpoint {server.base_url}/embeddings refuses it: a zero vector"}


def spoil(value: Any, times: int = 1) -> Changed:
    """Spoil the vector of the last text; in these tests that is the one in question, or alone."""

    def change(entries: list[dict[str, Any]]) -> None:
        for entry in entries[:2][-1:]:
            entry["embedding"] = [value] * times + [0.1] * (64 - times)

    return Changed(change)


def test_a_slow_batch_is_halved_at_once(endpoint: Make, pauses: list[float]) -> None:
    """A server on a processor takes longer for a batch than anybody waits, each time."""
    with Slow(5).running() as server:
        encoder = endpoint(base_url=server.base_url, timeout=0.5, in_flight=1)
        np.testing.assert_allclose(encoder.encode(TEXTS), HashEncoder().encode(TEXTS), atol=1e-6)
        assert server.batch_sizes == [10, 1, 5, 5]
    assert pauses == []


class Slow(EmbeddingServer):
    """Says nothing to requests of more texts than it has time for."""

    def __init__(self, most: int) -> None:
        super().__init__(HashEncoder())
        self.most = most

    def arrived(self, request: Request) -> Any:
        super().arrived(request)
        return Hang() if len(request.texts) > self.most else None


def test_an_endpoint_that_gives_zero_vectors_for_everything_blames_no_text(
    server: EmbeddingServer, endpoint: Make
) -> None:
    server.always = Changed(lambda entries: [entry.update(embedding=[0.0] * 64) for entry in entries])
    with pytest.raises(UnreachableError, match="a zero vector, 3 times in a row"):
        encode_each(endpoint(attempts=3), TEXTS)


def test_a_dimension_other_than_the_configured_one_is_an_error(endpoint: Make) -> None:
    with pytest.raises(EncoderError, match="vectors of dimension 64; 128 is what was configured"):
        endpoint(expected_dimension=128).encode(TEXTS)


def test_a_dimension_other_than_before_is_an_error(server: EmbeddingServer, endpoint: Make) -> None:
    encoder = endpoint()
    encoder.encode(TEXTS)
    server.encoder = HashEncoder(dimension=32)
    with pytest.raises(EncoderError, match="vectors of dimension 32; 64"):
        encoder.encode(TEXTS)


def test_dimensions_are_asked_for(server: EmbeddingServer, endpoint: Make) -> None:
    encoder = endpoint(dimensions=16)
    assert encoder.dimension == 16
    assert server.requests == []
    assert encoder.encode(TEXTS).shape == (10, 16)
    assert server.requests[0].body["dimensions"] == 16


def test_an_unknown_dimension_is_learnt_by_one_request(server: EmbeddingServer, endpoint: Make) -> None:
    encoder = endpoint()
    assert (encoder.dimension, encoder.dimension) == (64, 64)
    assert encoder.encode([]).shape == (0, 64)
    assert len(server.requests) == 1


# --- requests ------------------------------------------------------------------------------------------------


def test_prefixes_are_put_in_front(server: EmbeddingServer, endpoint: Make) -> None:
    encoder = endpoint(passage_prefix="passage: ", query_prefix="query: ")
    encoder.encode(["pump"])
    encoder.encode(["pump"], kind="query")
    assert [request.texts for request in server.requests] == [("passage: pump",), ("query: pump",)]


@settings(deadline=None, max_examples=30)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=40), most=st.integers(1, 9), characters=st.integers(1, 60)
)
def test_batches_keep_both_limits_and_every_text(lengths: list[int], most: int, characters: int) -> None:
    settings = EndpointSettings("http://127.0.0.1:9", "m", batch_texts=most, batch_characters=characters)
    texts = [chr(97 + place % 26) * length for place, length in enumerate(lengths)]
    batches = list(EndpointEncoder(settings)._batches(texts))
    assert [text for batch in batches for text in batch] == texts
    for batch in batches:
        assert 0 < len(batch) <= most
        assert len(batch) == 1 or sum(map(len, batch)) <= characters


def test_several_requests_are_in_flight_and_order_is_kept(server: EmbeddingServer, endpoint: Make) -> None:
    server.barrier = threading.Barrier(3)
    rows = endpoint(batch_texts=2, in_flight=3).encode(TEXTS[:6] * 2)
    np.testing.assert_allclose(rows, HashEncoder().encode(TEXTS[:6] * 2), atol=1e-6)
    assert server.most_at_once == 3


def test_user_and_password_of_the_address_are_sent(server: EmbeddingServer, endpoint: Make) -> None:
    address = server.base_url.replace("://", "://user:p%40ss@")
    endpoint(base_url=f"{address}/?version=2").encode(TEXTS[:1])
    (request,) = server.requests
    assert request.headers["Authorization"] == "Basic dXNlcjpwQHNz"
    assert request.path == "/v1/embeddings?version=2"


def test_an_address_that_ends_in_embeddings_is_taken_as_it_is(server: EmbeddingServer, endpoint: Make) -> None:
    endpoint(base_url=f"{server.base_url}/embeddings").encode(TEXTS[:1])
    assert server.requests[0].path == "/v1/embeddings"


def test_configured_headers_are_sent(server: EmbeddingServer, endpoint: Make) -> None:
    endpoint(headers={"api-key": "k"}).encode(TEXTS[:1])
    assert server.requests[0].headers["api-key"] == "k"


def test_an_encoder_that_is_no_longer_used_closes_its_connections(server: EmbeddingServer) -> None:
    encoder = EndpointEncoder(EndpointSettings(server.base_url, server.model))
    encoder.encode(TEXTS)
    http = encoder._client._opened
    assert http is not None
    del encoder
    gc.collect()
    assert http.is_closed


def test_closing_twice_is_safe(endpoint: Make) -> None:
    encoder = endpoint()
    encoder.encode(TEXTS)
    encoder.close()
    encoder.close()


# --- tokens --------------------------------------------------------------------------------------------------


def test_without_a_tokenizer_tokens_are_estimated(endpoint: Make) -> None:
    assert endpoint().count_tokens(["", "abc", "abcd", "abcde", "日本"]) == [0, 1, 1, 2, 2]


def test_with_a_tokenizer_tokens_are_counted(endpoint: Make, minilm_folder: Path) -> None:
    for tokenizer in (minilm_folder / "tokenizer.json", minilm_folder, "all-MiniLM-L6-v2"):
        assert endpoint(tokenizer=str(tokenizer)).count_tokens(["a pump, an unbelievable one"]) == [6]


def test_the_prefix_takes_its_tokens_from_the_window(endpoint: Make) -> None:
    assert endpoint().max_tokens == 0
    assert endpoint(max_tokens=100).max_tokens == 100
    assert endpoint(max_tokens=100, passage_prefix="passage:").max_tokens == 98


# --- identity ------------------------------------------------------------------------------------------------

SHAPING = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["a", "b"]),
        "dimensions": st.sampled_from([None, 16]),
        "expected_dimension": st.sampled_from([None, 16]),
        "passage_prefix": st.sampled_from(["", "p: "]),
        "query_prefix": st.sampled_from(["", "q: "]),
        "max_tokens": st.sampled_from([0, 512]),
    }
)
SHAPELESS = st.fixed_dictionaries(
    {
        "base_url": st.sampled_from(["http://127.0.0.1:9/v1", "https://user:pass@example.test/v1?key=1"]),
        "api_key": st.sampled_from(["", "k"]),
        "batch_texts": st.sampled_from([1, 64]),
        "encoding_format": st.sampled_from(["float", "base64"]),
        "tokenizer": st.sampled_from(["", "/some/tokenizer.json"]),
    }
)


def effect(given: dict[str, Any]) -> dict[str, Any]:
    """What settings come to: a dimension that is asked for, or one that is known."""
    return {**given, "dimensions": given["dimensions"] or given["expected_dimension"], "expected_dimension": None}


@settings(deadline=None, max_examples=40)
@given(SHAPING, SHAPING, SHAPELESS, SHAPELESS)
def test_the_fingerprint_moves_with_what_shapes_vectors_and_nothing_else(
    one: dict[str, Any], two: dict[str, Any], here: dict[str, Any], there: dict[str, Any]
) -> None:
    first, second = (EndpointEncoder(EndpointSettings(**a, **b)) for a, b in ((one, here), (two, there)))
    assert (first.identity.fingerprint == second.identity.fingerprint) == (effect(one) == effect(two))


def test_address_and_served_model_are_recorded_beside_the_shape(server: EmbeddingServer, endpoint: Make) -> None:
    encoder = endpoint(base_url=server.base_url.replace("://", "://user:pass@") + "?key=1")
    before = encoder.identity
    encoder.encode(TEXTS)
    assert encoder.identity.recorded == {
        "address": f"{server.base_url}/embeddings",
        "served_models": ["served-model-0042"],
    }
    assert encoder.identity.fingerprint == before.fingerprint


# --- settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"model": ""},
        {"batch_texts": 0},
        {"batch_characters": 0},
        {"in_flight": 0},
        {"timeout": 0.0},
        {"attempts": 0},
        {"patience": 0.0},
        {"longest_pause": 0.0},
        {"dimensions": 0},
        {"max_tokens": -1},
        {"dimensions": 3, "expected_dimension": 4},
    ],
)
def test_settings_that_break_a_rule_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"encoder {list(given)[-1]} = "):
        EndpointSettings(**{"base_url": "http://127.0.0.1/v1", "model": "m", **given})


@pytest.mark.parametrize(
    "url", ["", "api.openai.com/v1", "ftp://host/v1", "http://", "http://host:port/v1", "http://[x"]
)
def test_an_address_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url is not an http or https address") as caught:
        EndpointSettings(url, "m")
    assert not url or url not in caught.value.fact


def test_the_factory_gives_this_encoder() -> None:
    assert isinstance(open_encoder(EndpointSettings("http://127.0.0.1:9", "m")), EndpointEncoder)
