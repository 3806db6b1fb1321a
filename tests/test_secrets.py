"""No secret is in anything that ragwatch prints, logs, raises, stores or sends, whether things go well or badly.

Each function marked `@part` drives one part of the program that knows a secret, against a server that answers as
`answer` says, and looks with `scene`. To add a part: write such a function, take its secrets from `scene.secret(NAME)`.
"""

import base64
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import pytest

from ragwatch.app import load, utc_now
from ragwatch.app.alerts import deliver_waiting, send_tests
from ragwatch.cli.commands import run
from ragwatch.daemon.heartbeat import Heartbeat
from ragwatch.health.incidents import Event
from ragwatch.probes.judge import JudgeSettings
from ragwatch.probes.judge_answer import JudgeFailedError
from ragwatch.probes.judge_cache import AnswerCache
from ragwatch.probes.judge_client import JudgeClient, Question
from ragwatch.probes.retrievers import HttpRetriever
from ragwatch.state import open_state
from ragwatch.wiring import make_state
from tests.alerts.notices import message
from tests.cli.conftest import CONFIG, DOCUMENTS
from tests.fakes.hash_encoder import HashEncoder
from tests.servers.embeddings import EmbeddingServer
from tests.servers.postgres import postgres_database as postgres_database
from tests.servers.postgres import postgres_server as postgres_server
from tests.servers.receiver import Fail, Received, Receiver, Say


def echo(request: Received) -> str:
    """Return what nasty servers say: everything that they were told."""
    return f"refused: {request.path} {dict(request.headers)} {request.body.decode('utf-8', 'replace')}"


def echoed(status: int) -> Callable[[Received], Say]:
    def answer(request: Received) -> Say:
        shown = {"X-Seen": request.headers.get("Authorization", ""), "Set-Cookie": f"seen={request.path}"}
        return Say(status, echo(request), {**shown, "Location": f"http://127.0.0.1{request.path}?again"})

    return answer


ANSWERS: dict[str, Callable[[Received], Say | Fail] | None] = {
    "well": None,
    "400": echoed(400),
    "401": echoed(401),
    "500": echoed(500),
    "redirect": echoed(302),
    "no json": echoed(200),
    "error in json": lambda request: Say(200, json.dumps({"ok": False, "error": echo(request)})),
    "broken": lambda _: Fail("reset"),
}


@dataclass
class Scene:
    """A folder, servers, planted secrets, and everything that was seen."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capfd: pytest.CaptureFixture[str]
    receiver: Receiver
    encoder: EmbeddingServer
    postgres: Callable[[], str]
    well: bool
    secrets: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def secret(self, name: str, *, length: int = 0) -> str:
        """Plant a secret."""
        made = f"Planted{name}Zq7"
        made += "x" * (length - len(made))
        self.secrets.append(made)
        return made

    def environment(self, name: str, value: str) -> str:
        self.monkeypatch.setenv(name, value)
        return name

    def configure(self, more: str = "", **changes: str) -> Path:
        text = CONFIG.format(url=self.encoder.base_url)
        for old, new in changes.items():
            text = text.replace(f"[{old}]", new, 1)
        path = self.folder / "ragwatch.toml"
        path.write_text(text + more, encoding="utf-8")
        return path

    def ragwatch(self, *arguments: str) -> int:
        """Run a command; what it raises counts as seen."""
        self.monkeypatch.setattr("sys.argv", ["ragwatch", *arguments])
        codes: list[int] = []
        self.attempt(lambda: codes.append(run()))
        return codes[0] if codes else -1

    def attempt(self, act: Callable[[], Any]) -> Any:
        """Do something; its result, or its error with all that hangs on it, counts as seen."""
        try:
            result = act()
        except Exception as error:  # noqa: BLE001
            self.seen += [repr(error), *traceback.format_exception(error)]
            cause: BaseException | None = error
            while cause is not None:
                self.seen += [repr(cause), str(cause)]
                cause = cause.__cause__ or cause.__context__
            return None
        self.seen.append(repr(result))
        return result


Drive = Callable[[Scene], None]
PARTS: dict[str, Drive] = {}


def part(drive: Drive) -> Drive:
    PARTS[drive.__name__.replace("_", " ")] = drive
    return drive


# --- the parts -----------------------------------------------------------------------------------------------


def channel(scene: Scene, kind: str, more: str) -> None:
    """Drive a channel from end to end: checked, previewed, tested, delivered to, and listed."""
    path = scene.configure(f'\n[[alerts.channels]]\nname = "team"\nkind = "{kind}"\ntimeout_s = 2\n{more}\n')
    settings = load(path)
    scene.seen.append(repr(settings))
    for command in ("doctor", "alerts preview --json", "alerts test"):
        scene.ragwatch(*command.split())
    with closing(make_state(settings.config, settings.base)) as state:
        sent = [message(collection="docs"), message(Event.RESOLVED, collection="docs")]
        state.commit(messages=sent, now=utc_now())
        scene.attempt(lambda: deliver_waiting(settings, state, utc_now, "me"))
    for command in ("alerts outbox", "alerts outbox --json"):
        scene.ragwatch(*command.split())
    scene.seen.append(repr(send_tests(path, "team")))


@part
def slack_webhook(scene: Scene) -> None:
    if scene.well:
        scene.receiver.always = Say()
    scene.environment("URL", f"{scene.receiver.url}/services/T0/B0/{scene.secret('SlackUrl')}")
    channel(scene, "slack", 'url_env = "URL"')


@part
def slack_bot(scene: Scene) -> None:
    if scene.well:
        scene.receiver.always = Say(200, '{"ok": true, "ts": "1.1", "channel": "C1"}')
    scene.environment("TOKEN", scene.secret("SlackToken"))
    scene.environment("URL", f"{scene.receiver.url}/api")
    channel(scene, "slack-bot", 'url_env = "URL"\ntoken_env = "TOKEN"\nslack_channel = "C1"')


@part
def signed_webhook(scene: Scene) -> None:
    inside = scene.receiver.url.replace("://", f"://user:{scene.secret('UrlPassword')}@")
    scene.environment("URL", f"{inside}/{scene.secret('UrlPath')}?key={scene.secret('UrlQuery')}")
    (scene.folder.parent / "signing.key").write_text(scene.secret("SigningKey"))
    channel(scene, "webhook", 'url_env = "URL"\ntoken_file = "../signing.key"')


@part
def alertmanager(scene: Scene) -> None:
    scene.environment("TOKEN", scene.secret("Bearer"))
    scene.environment("URL", scene.receiver.url)
    channel(scene, "alertmanager", 'url_env = "URL"\ntoken_env = "TOKEN"')


@part
def pagerduty(scene: Scene) -> None:
    # PagerDuty takes its key in the body, and nowhere else.
    scene.environment("TOKEN", scene.secret("RoutingKey", length=32))
    scene.environment("URL", scene.receiver.url)
    channel(scene, "pagerduty", 'url_env = "URL"\ntoken_env = "TOKEN"')
    scene.receiver.received.clear()


@part
def channel_whose_secret_is_malformed(scene: Scene) -> None:
    scene.environment("URL", f"hooks.example/{scene.secret('NotAnAddress')}")
    channel(scene, "slack", 'url_env = "URL"')
    scene.environment("TOKEN", f"{scene.secret('NotAToken')}\nX-Injected: 1")
    channel(scene, "slack-bot", 'token_env = "TOKEN"\nslack_channel = "C1"')


@part
def encoder_endpoint(scene: Scene) -> None:
    scene.environment("KEY", scene.secret("EncoderKey"))
    url = scene.encoder.base_url if scene.well else f"{scene.receiver.url}/v1"
    path = scene.configure(encoder='[encoder]\napi_key_env = "KEY"')
    path.write_text(path.read_text().replace(scene.encoder.base_url, url))
    for command in ("doctor", "scan", "reindex --yes", "audit", "encoder check", "history --json", "status --json"):
        scene.ragwatch(*command.split())


@part
def qdrant_server(scene: Scene) -> None:
    scene.environment("KEY", scene.secret("QdrantKey"))
    path = scene.configure()
    server = f'url = "{scene.receiver.url}"\napi_key_env = "KEY"\ntimeout_s = 2'
    path.write_text(path.read_text().replace('path = "index"', server))
    for command in ("doctor", "scan", "history --json", "status --json"):
        scene.ragwatch(*command.split())


@part
def sql_source(scene: Scene) -> None:
    if scene.well:
        url = scene.postgres()
        scene.secrets.append(str(urlsplit(url).password))
    else:
        url = f"postgresql://reader:{scene.secret('SqlPassword')}@127.0.0.1:9/corpus"
    scene.environment("CORPUS", url)
    source = '[[sources]]\nname = "sql"\nkind = "sql"\nurl_env = "CORPUS"\nid_column = "id"\ntext_column = "text"\n'
    source += "query = \"select 'a' as id, 'some text' as text\"\n"
    scene.configure(f"\n{source}")
    for command in ("doctor", "scan", "scan --json", "plan", "history --json"):
        scene.ragwatch(*command.split())


@part
def state_database(scene: Scene) -> None:
    if scene.well:
        url = scene.postgres()
        scene.secrets.append(str(urlsplit(url).password))
    else:
        url = f"postgresql://writer:{scene.secret('StatePassword')}@127.0.0.1:9/state"
    path = scene.configure()
    scene.environment("STATE", url)
    path.write_text(path.read_text().replace('url = "sqlite:///state.db"', 'url_env = "STATE"'))
    for command in ("doctor", "scan", "status", "history --json", "alerts outbox"):
        scene.ragwatch(*command.split())
    state = scene.attempt(lambda: open_state(url))
    if state is not None:
        state.close()


@part
def retriever_with_a_header(scene: Scene) -> None:
    if scene.well:
        scene.receiver.always = Say(200, '["some text"]')
    retriever = HttpRetriever(scene.receiver.url, headers={"Authorization": f"Bearer {scene.secret('Retriever')}"})
    scene.seen += [repr(retriever), repr(retriever.settings)]
    scene.attempt(lambda: retriever.retrieve("question", 3))


@part
def retriever_with_a_password_and_a_key_in_its_address(scene: Scene) -> None:
    if scene.well:
        scene.receiver.always = Say(200, '["some text"]')
    inside = scene.receiver.url.replace("://", f"://user:{scene.secret('RetrieverPassword')}@")
    url = f"{inside}/ask?key={scene.secret('RetrieverQuery')}"
    path = scene.configure(f'\n[probe]\nretriever = "http"\nurl = "{url}"\n')
    (scene.folder / "golden.jsonl").write_text('{"id": "a", "query": "What are refunds?", "document": "refunds.md"}\n')
    retriever = HttpRetriever(url)
    scene.seen += [repr(retriever), repr(retriever.settings)]
    scene.attempt(lambda: retriever.retrieve("question", 3))
    for command in ("reindex --yes", "probe", "probe --json", "baseline show --json", "history --json", "doctor"):
        scene.ragwatch(*command.split())
    path.unlink()


@part
def judge(scene: Scene) -> None:
    url = scene.receiver.url.replace("://", f"://user:{scene.secret('JudgePassword')}@")
    settings = JudgeSettings(
        f"{url}/v1?key={scene.secret('JudgeQuery')}", "m", api_key=scene.secret("JudgeKey"), retries=1, timeout_s=2
    )
    cache = AnswerCache(scene.folder / "judge")
    client = JudgeClient(settings, cache, sleep=lambda _: None)
    scene.seen += [repr(settings), repr(client), client.address]
    with suppress(JudgeFailedError):
        scene.attempt(lambda: client.ask(Question("p", {}, "s", "m", "0", 0, 0)))
    client.close()
    cache.close()


@part
def heartbeat(scene: Scene) -> None:
    beat = Heartbeat(f"{scene.receiver.url}/ping/{scene.secret('Heartbeat')}", 1.0, list)
    scene.seen.append(repr(beat))
    scene.attempt(beat._call)


# --- looking -------------------------------------------------------------------------------------------------


def forms(secret: str) -> set[bytes]:
    """Return how a secret can be spelled."""
    plain = secret.encode()
    texts = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], plain.hex()}
    encoded = {base64.b64encode(part + plain).rstrip(b"=")[:-1] for part in (b"", b"user:", b":")}
    return {text.encode() for text in texts} | encoded


def places(scene: Scene, log: str) -> Iterator[tuple[str, bytes]]:
    out, err = scene.capfd.readouterr()
    yield from (("stdout", out.encode()), ("stderr", err.encode()), ("log", log.encode()))
    yield "errors and representations", "\n".join(scene.seen).encode("utf-8", "replace")
    for request in scene.receiver.received:
        yield f"body sent to {urlsplit(request.path).path}", request.body
    for path in sorted(scene.folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(scene.folder)), path.read_bytes()


@pytest.fixture
def scene(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> Iterator[Callable[[str], Scene]]:
    folder = tmp_path / "work"
    (folder / "docs").mkdir(parents=True)
    for name, text in DOCUMENTS.items():
        (folder / "docs" / name).parent.mkdir(exist_ok=True)
        (folder / "docs" / name).write_text(text)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("RAGWATCH_CONFIG", raising=False)
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("ragwatch.encoders.retries.FIRST_PAUSE", 0.001)
    monkeypatch.setattr("ragwatch.stores.server_calls.BACKOFF", (0.0,) * 4)
    monkeypatch.setattr("ragwatch.alerts.http.Sender._wait", lambda _: None)
    with Receiver().running() as receiver, EmbeddingServer(HashEncoder()).running() as encoder:

        def make(answer: str) -> Scene:
            chosen = ANSWERS[answer]
            receiver.always = chosen or Say(200, "{}")

            def postgres() -> str:
                return str(request.getfixturevalue("postgres_database"))

            return Scene(folder, monkeypatch, capfd, receiver, encoder, postgres, chosen is None)

        yield make


FEW = {
    "alertmanager": ("well", "400", "401", "redirect"),
    "pagerduty": ("well", "400", "401", "redirect"),
    "sql source": ("well", "500"),
    "state database": ("well", "500"),
    "channel whose secret is malformed": ("well",),
    "encoder endpoint": ("well", "401", "500"),
    "qdrant server": ("401", "500"),
}
"""Parts that talk to no server that could answer in many ways, or whose own tests go through them."""
CASES = [(name, answer) for name in PARTS for answer in FEW.get(name, tuple(ANSWERS))]


@pytest.mark.parametrize(("name", "answer"), CASES)
def test_no_secret_is_shown_stored_or_sent(
    name: str, answer: str, scene: Callable[[str], Scene], caplog: pytest.LogCaptureFixture
) -> None:
    made = scene(answer)
    PARTS[name](made)
    assert made.secrets
    assert all(len(secret) >= 8 for secret in made.secrets)
    found = [
        f"{secret} is in {place}: …{content[max(0, content.index(form) - 80) :][:200]!r}"
        for place, content in places(made, caplog.text)
        for secret in made.secrets
        for form in forms(secret)
        if form in content
    ]
    assert not found


@pytest.mark.plants_openly
def test_a_secret_that_is_shown_is_found(scene: Callable[[str], Scene], caplog: pytest.LogCaptureFixture) -> None:
    made = scene("well")
    secret = made.secret("Shown")
    for spelled in (secret, quote(secret), base64.b64encode(f"user:{secret}".encode()).decode()):
        logging.getLogger("anything").debug("said %s", spelled)
        assert any(form in content for _, content in places(made, caplog.text) for form in forms(secret))
        caplog.clear()
