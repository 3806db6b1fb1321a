"""The judge's endpoint, up and down: every failure has a name, nothing is asked twice, nothing secret is shown."""

import logging
import socket
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragwatch.errors import StateError
from ragwatch.probes import judge_client
from ragwatch.probes.judge import JudgeSettings
from ragwatch.probes.judge_answer import JudgeFailedError
from ragwatch.probes.judge_cache import FILE, AnswerCache
from ragwatch.probes.judge_client import GIVE_UP_AFTER, JudgeClient, Question
from ragwatch.probes.ragas_types import Reason
from tests.cli.daemons import eventually
from tests.servers.embeddings import Hang, Raw, Reset, Status
from tests.servers.judge import KEY, Behaviour, Drip, JudgeServer, Says

PROMPT = 'Is it so? {"title": "ContextRelevanceOutput"}'
QUESTION = Question(PROMPT, {"type": "object"}, "ContextRelevanceOutput", "context_relevance", "0.4.3", 0, 0)
GOOD = Says('{"rating": 2}')


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with JudgeServer().running() as server:
        yield server


class Asker:
    """Makes clients of one server, without waiting between attempts, and closes them."""

    def __init__(self, server: JudgeServer) -> None:
        self.server = server
        self.slept: list[float] = []
        self.clients: list[tuple[JudgeClient, AnswerCache]] = []

    def __call__(self, cache: Path | None = None, **changes: Any) -> JudgeClient:
        settings = replace(JudgeSettings(self.server.base_url, "judge", timeout_s=5.0), **changes)
        store = AnswerCache(cache)
        client = JudgeClient(settings, store, sleep=self.slept.append, jitter=lambda: 1.0)
        self.clients.append((client, store))
        return client


@pytest.fixture
def asker(server: JudgeServer) -> Iterator[Asker]:
    asker = Asker(server)
    yield asker
    for client, cache in asker.clients:
        client.close()
        cache.close()


def failure(client: JudgeClient, question: Question = QUESTION) -> JudgeFailedError:
    with pytest.raises(JudgeFailedError) as raised:
        client.ask(question)
    return raised.value


def test_an_answer_comes_back_with_what_it_cost(asker: Asker) -> None:
    client = asker(price_per_million_tokens=2.0, currency="EUR")
    assert client.ask(QUESTION).text == '{"rating": 2}'
    usage = client.usage
    assert (usage.requests, usage.prompt_tokens, usage.answer_tokens, usage.estimated_tokens) == (1, 100, 10, 0)
    assert usage.cost == pytest.approx(0.00022)
    assert usage.currency == "EUR"


def test_it_is_asked_as_ragas_asks(asker: Asker, server: JudgeServer) -> None:
    asker().ask(QUESTION)
    assert server.requests == [
        {
            "model": "judge",
            "messages": [{"role": "user", "content": PROMPT}],
            "max_tokens": 1024,
            "temperature": 0.01,
            "top_p": 0.1,
            "response_format": {"type": "json_object"},
        }
    ]


def test_a_schema_can_be_imposed(asker: Asker, server: JudgeServer) -> None:
    asker(answer_format="json_schema").ask(QUESTION)
    shape = {"name": "ContextRelevanceOutput", "schema": {"type": "object"}}
    assert server.requests[0]["response_format"] == {"type": "json_schema", "json_schema": shape}


def test_tokens_that_nobody_counted_are_estimated_and_said_so(asker: Asker, server: JudgeServer) -> None:
    server.always = Says('{"rating": 2}', usage=None)
    client = asker()
    client.ask(QUESTION)
    assert client.usage.estimated_tokens == client.usage.tokens > 0


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (Status(500), Reason.SERVER_ERROR),
        (Status(503), Reason.SERVER_ERROR),
        (Status(429, {"Retry-After": "0"}), Reason.RATE_LIMITED),
        (Status(408), Reason.TIMEOUT),
        (Reset(), Reason.UNREACHABLE),
    ],
)
def test_what_passes_is_asked_again_and_then_has_a_name(
    told: Behaviour, reason: Reason, asker: Asker, server: JudgeServer
) -> None:
    server.always = told
    client = asker(retries=2)
    found = failure(client)
    assert (found.reason, found.not_run, len(server.requests)) == (reason, False, 3)
    server.script.extend([told, told, GOOD])
    assert client.ask(QUESTION).text == '{"rating": 2}'


def test_pauses_double(asker: Asker, server: JudgeServer) -> None:
    server.always = Status(500)
    failure(asker(retries=3))
    assert asker.slept == [0.5, 1.0, 2.0]


def test_retry_after_is_honoured_by_every_request(asker: Asker, server: JudgeServer) -> None:
    server.script.append(Status(429, {"Retry-After": "0.7"}))
    client = asker()
    client.ask(QUESTION)
    assert asker.slept == [0.7]
    assert server.arrivals[1] - server.arrivals[0] >= 0.7


def test_nobody_listens(asker: Asker) -> None:
    # Bound and deaf: nobody else can listen there meanwhile.
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        found = failure(asker(base_url=f"http://127.0.0.1:{port}/v1", retries=1))
    assert found.reason is Reason.UNREACHABLE
    assert f"127.0.0.1:{port}" in found.detail


@pytest.mark.parametrize("told", [Hang(), Drip(), Drip(headers=True)])
def test_a_slow_judge_is_not_waited_for(told: Behaviour, asker: Asker, server: JudgeServer) -> None:
    server.always = told
    client = asker(timeout_s=0.3, retries=0)
    assert failure(client).reason is Reason.TIMEOUT
    # It may have read the prompt, and may charge for it.
    assert client.usage.prompt_tokens == client.usage.estimated_tokens > 0


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (Says(None, refusal="I cannot"), Reason.DECLINED),
        (Says("", finish="content_filter"), Reason.DECLINED),
        (Says('{"rating":', finish="length"), Reason.TRUNCATED),
        (Says(""), Reason.MALFORMED),
        (Says(None), Reason.MALFORMED),
        (Raw("<html>"), Reason.MALFORMED),
        (Raw('{"choices": []}'), Reason.MALFORMED),
        (Raw('{"error": {"message": "quota"}}'), Reason.MALFORMED),
        (Raw('{"choices": [{"message": {"content": 7}}]}'), Reason.MALFORMED),
        (Raw('["choices"]'), Reason.MALFORMED),
    ],
)
def test_an_answer_that_is_none_has_a_name_and_a_cost(
    told: Behaviour, reason: Reason, asker: Asker, server: JudgeServer
) -> None:
    server.always = told
    client = asker()
    assert failure(client).reason is reason
    assert len(server.requests) == 1
    assert client.usage.tokens > 0


def test_refused_credentials_end_the_run_and_name_the_variable(asker: Asker, server: JudgeServer) -> None:
    server.api_key = "another"
    client = asker(api_key=KEY, api_key_name="JUDGE_KEY")
    found = failure(client)
    assert (found.reason, found.not_run) == (Reason.CREDENTIALS, False)
    assert "JUDGE_KEY is set but not accepted" in found.detail
    assert KEY not in found.detail
    assert failure(client).not_run
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [404, 405, 301])
def test_an_address_that_is_none_ends_the_run(code: int, asker: Asker, server: JudgeServer) -> None:
    server.always = Status(code)
    client = asker()
    assert failure(client).reason is Reason.REFUSED
    assert failure(client).not_run
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [400, 413, 422])
def test_a_prompt_that_is_refused_concerns_no_other(code: int, asker: Asker, server: JudgeServer) -> None:
    server.script.append(Status(code))
    client = asker()
    assert failure(client).reason is Reason.REFUSED
    assert client.ask(QUESTION).text


def test_parameters_that_the_model_does_not_know_are_left_out(asker: Asker, server: JudgeServer) -> None:
    server.unknown_parameters = ("max_tokens", "temperature", "top_p", "response_format")
    client = asker(retries=0)
    assert client.ask(QUESTION).text
    assert set(server.requests[-1]) == {"model", "messages", "max_completion_tokens"}
    asked = len(server.requests)
    client.ask(replace(QUESTION, repeat=1))
    assert len(server.requests) == asked + 1


def test_a_judge_that_stays_away_is_left_alone(asker: Asker, server: JudgeServer) -> None:
    server.always = Status(502)
    client = asker(retries=0)
    assert not any(failure(client).not_run for _ in range(GIVE_UP_AFTER))
    found = failure(client)
    assert (found.not_run, found.reason) == (True, Reason.SERVER_ERROR)
    assert len(server.requests) == GIVE_UP_AFTER


def test_one_answer_in_between_is_a_sign_of_life(asker: Asker, server: JudgeServer) -> None:
    client = asker(retries=0)
    server.script.extend([Status(502)] * (GIVE_UP_AFTER - 1) + [GOOD] + [Status(502)] * (GIVE_UP_AFTER - 1))
    for _ in range(GIVE_UP_AFTER - 1):
        failure(client)
    client.ask(QUESTION)
    for _ in range(GIVE_UP_AFTER - 1):
        failure(client)
    assert client.ask(QUESTION).text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"budget_tokens": 300}, Reason.BUDGET_TOKENS),
        ({"budget": 0.0003, "price_per_million_tokens": 1.0}, Reason.BUDGET_MONEY),
    ],
)
def test_the_budget_is_a_hard_stop(changes: dict[str, Any], reason: Reason, asker: Asker, server: JudgeServer) -> None:
    client = asker(max_tokens=50, **changes)
    client.ask(QUESTION)
    client.ask(QUESTION)
    found = failure(client)
    assert (found.reason, found.not_run) == (reason, True)
    assert (len(server.requests), client.usage.tokens) == (2, 220)
    # Not even a shorter question is asked afterwards.
    assert failure(client, replace(QUESTION, prompt="?")).reason is reason


DEEP = "[" * 200_000
HALF = r'{"choices": [{"message": {"content": "half \ud83d"}}]}'


@pytest.mark.parametrize(("told", "status"), [(DEEP, 200), (HALF, 200), (DEEP, 400), (DEEP, 500)])
def test_an_answer_that_cannot_be_taken_apart_holds_no_budget_back(
    told: str, status: int, asker: Asker, server: JudgeServer
) -> None:
    """A promise that was not taken back would let the second question wait for ever."""
    server.script.append(Status(status, body=told))
    client = asker(budget_tokens=800, max_tokens=400, retries=0)
    found = failure(client)
    assert found.reason is {200: Reason.MALFORMED, 400: Reason.REFUSED, 500: Reason.SERVER_ERROR}[status]
    later: list[str] = []
    thread = threading.Thread(target=lambda: later.append(client.ask(QUESTION).text), daemon=True)
    thread.start()
    thread.join(60)
    assert later == ['{"rating": 2}'], "the next question waits for what the first one was promised"


def test_a_fault_of_our_own_holds_no_budget_back(
    asker: Asker, server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = asker(budget_tokens=500, max_tokens=200)
    with monkeypatch.context() as patched:
        patched.setattr(judge_client, "read_reply", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            client.ask(QUESTION)
    # It was sent, and may be charged for.
    assert client.usage.prompt_tokens > 0
    assert client.ask(QUESTION).text == '{"rating": 2}'


def test_no_more_at_once_than_allowed(asker: Asker, server: JudgeServer) -> None:
    pair = threading.Barrier(2, timeout=60)

    def wait_for_another(_number: int) -> dict[str, int]:
        pair.wait()
        time.sleep(0.1)
        return {"rating": 2}

    server.says["ContextRelevanceOutput"] = wait_for_another
    client = asker(concurrency=2)
    threads = [threading.Thread(target=client.ask, args=(QUESTION,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a question was not answered within 60 s"
    assert (server.most_at_once, len(server.requests)) == (2, 6)


def test_requests_a_minute(asker: Asker, server: JudgeServer) -> None:
    client = asker(requests_per_minute=600)
    start = time.monotonic()
    for _ in range(4):
        client.ask(QUESTION)
    assert server.arrivals[-1] - start >= 0.3


def test_an_answer_that_proved_usable_is_not_asked_for_again(asker: Asker, server: JudgeServer, tmp_path: Path) -> None:
    client = asker(tmp_path)
    answer = client.ask(QUESTION)
    again = client.ask(QUESTION)
    assert again.key == answer.key
    client.keep(answer.key, answer.text)
    kept = asker(tmp_path, api_key=KEY).ask(QUESTION)
    assert (kept.text, kept.key) == (answer.text, "")
    assert len(server.requests) == 2
    assert asker.clients[-1][0].usage.cached == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("model", "another"),
        ("temperature", 0.5),
        ("top_p", 0.9),
        ("max_tokens", 77),
        ("answer_format", "text"),
        ("base_url", "{base}/other"),
    ],
)
def test_the_cache_knows_every_setting_that_shapes_an_answer(
    setting: str, value: Any, asker: Asker, server: JudgeServer, tmp_path: Path
) -> None:
    client = asker(tmp_path)
    answer = client.ask(QUESTION)
    client.keep(answer.key, answer.text)
    changed = value.format(base=server.base_url) if setting == "base_url" else value
    assert asker(tmp_path, **{setting: changed}).ask(QUESTION).key not in ("", answer.key)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": PROMPT + " "},
        {"schema": {"type": "array"}},
        {"metric": "faithfulness"},
        {"ragas_version": "0.4.4"},
        {"repeat": 1},
        {"turn": 1},
    ],
)
def test_the_cache_knows_every_part_of_a_question(change: dict[str, Any], asker: Asker, tmp_path: Path) -> None:
    client = asker(tmp_path)
    answer = client.ask(QUESTION)
    client.keep(answer.key, answer.text)
    assert client.ask(replace(QUESTION, **change)).key not in ("", answer.key)


def test_the_cache_holds_no_secret_and_is_its_owners(asker: Asker, server: JudgeServer, tmp_path: Path) -> None:
    server.api_key = KEY
    address = server.base_url.replace("http://", "http://someone:a-password-in-the-address@") + "?token=in-the-query"
    client = asker(tmp_path, api_key=KEY, base_url=address)
    answer = client.ask(QUESTION)
    client.keep(answer.key, answer.text)
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        assert not any(secret in content for secret in (KEY.encode(), b"a-password", b"in-the-query", PROMPT.encode()))
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_cache_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(StateError, match=f"{FILE} cannot be used: file is not a database"):
        AnswerCache(tmp_path)


def test_a_cache_that_breaks_meanwhile_only_costs_a_request(asker: Asker, server: JudgeServer, tmp_path: Path) -> None:
    client = asker(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("DROP TABLE answers")
    database.close()
    answer = client.ask(QUESTION)
    client.keep(answer.key, answer.text)
    assert client.ask(QUESTION).key == answer.key
    assert len(server.requests) == 2


def test_secrets_are_in_no_log_and_no_representation(
    asker: Asker, server: JudgeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script.extend([Status(401, body=f"bad key {KEY}")])
    client = asker(api_key=KEY, base_url=f"{server.base_url}?token=in-the-query")
    shown = [repr(failure(client)), repr(client.settings), client.address]
    assert KEY not in caplog.text
    assert "in-the-query" not in caplog.text
    assert not any(secret in text for text in shown for secret in (KEY, "in-the-query"))


def test_closing_ends_what_waits(asker: Asker, server: JudgeServer) -> None:
    server.always = Status(429, {"Retry-After": "30"})
    client = JudgeClient(JudgeSettings(server.base_url, "judge"), AnswerCache(None))
    found: list[JudgeFailedError] = []
    thread = threading.Thread(target=lambda: found.append(failure(client)))
    thread.start()
    eventually(lambda: server.requests, "the judge was not asked")
    client.close()
    thread.join(60)
    assert [one.not_run for one in found] == [True]
