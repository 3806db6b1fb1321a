"""A planted secret turns up nowhere: not in logs, representations, errors or their chains."""

import logging
import traceback
from typing import Any

import pytest

from ragwatch.encoders import EndpointSettings
from ragwatch.encoders.openai_compatible import EndpointEncoder
from ragwatch.errors import ConfigError, RagwatchError
from tests.servers.embeddings import Changed, EmbeddingServer, Raw, Reset, Status

SECRET = "planted5ecret"
DOCUMENT = "the confidential text of a document"

BEHAVIOURS: dict[str, Any] = {
    "fine": None,
    "unavailable": Status(503, body=f'{{"error": {{"code": "{SECRET}"}}}}'),
    "overloaded": Status(529, body=f'{{"error": {{"code": "bad_{SECRET}"}}}}'),
    "broken": Reset(),
    "redirect": Status(302, {"Location": f"http://127.0.0.1/{SECRET}"}),
    "not found": Status(404),
    "refused": Status(400, body=f"{SECRET} {DOCUMENT}"),
    "no json": Raw(SECRET),
    "too few": Changed(list.pop),
    "zero": Changed(lambda entries: entries[0].update(embedding=[0.0] * 64)),
}
CARRIERS: dict[str, dict[str, Any]] = {
    "key": {"api_key": SECRET},
    "header": {"headers": {"x-api-key": SECRET}},
}


def attempt(settings: EndpointSettings) -> str:
    """Encode, and return everything that a user or a log could see of it."""
    encoder = EndpointEncoder(settings, sleep=lambda seconds: None)
    seen = [repr(settings), str(settings), repr(encoder), repr(encoder.identity)]
    try:
        encoder.encode([DOCUMENT, DOCUMENT])
    except RagwatchError as error:
        seen += [repr(error), error.fact, error.hint, *traceback.format_exception(error)]
    finally:
        encoder.close()
    return "\n".join(seen)


@pytest.mark.parametrize("behaviour", BEHAVIOURS.values(), ids=BEHAVIOURS)
@pytest.mark.parametrize("place", ["key", "header", "password", "query", "wrong key"])
def test_no_secret_and_no_text_is_shown(
    server: EmbeddingServer, caplog: pytest.LogCaptureFixture, place: str, behaviour: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    server.always = behaviour
    if place == "wrong key":
        server.api_key = "another"
    url = {
        "password": server.base_url.replace("://", f"://user:{SECRET}@"),
        "query": f"{server.base_url}?key={SECRET}",
    }.get(place, server.base_url)
    given = CARRIERS.get("key" if place == "wrong key" else place, {})
    seen = attempt(EndpointSettings(url, server.model, attempts=2, timeout=5, **given))
    assert server.requests
    assert SECRET not in seen + caplog.text
    assert DOCUMENT not in seen + caplog.text


def test_the_request_log_still_names_the_address(server: EmbeddingServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "httpx")
    attempt(EndpointSettings(f"{server.base_url}?key={SECRET}", server.model))
    assert f"{server.base_url}/embeddings" in caplog.text


@pytest.mark.parametrize("key", [f"{SECRET}\nX-Injected: 1", f"{SECRET}é"])
def test_a_key_that_no_header_can_carry_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(ConfigError, match="api_key") as caught:
        EndpointSettings("http://127.0.0.1/v1", "m", api_key=key)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_password_in_a_broken_address_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        EndpointSettings(f"http://user:{SECRET}@host:port/v1", "m")
    assert SECRET not in "".join(traceback.format_exception(caught.value))
