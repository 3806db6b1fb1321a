"""The daemon's pages: what is answered, and to whom it is not."""

import base64
import http.client
import logging
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from ragwatch.daemon import web
from ragwatch.daemon.web import CONNECTIONS, Page, Web, text_page
from ragwatch.errors import ConfigError


def broken() -> Page:
    raise RuntimeError("a fault of ours")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(web._Handler, "timeout", 0.5)
    made = Web("127.0.0.1:0", {"/": lambda: text_page(200, "here"), "/broken": broken})
    made.start()
    yield made
    made.stop()


def ask(served: Web, method: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", served.server_port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_what_is_asked_for_is_answered(served: Web) -> None:
    assert ask(served, "GET", "/?x=1") == (200, "here\n")
    assert ask(served, "HEAD", "/") == (200, "")
    assert ask(served, "GET", "/etc/passwd")[0] == 404
    assert ask(served, "GET", "/../../etc/passwd")[0] == 404
    assert ask(served, "POST", "/") == (405, "only GET\n")


def test_a_page_that_fails_says_so_and_nothing_else(served: Web, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert ask(served, "GET", "/broken") == (500, "see the log\n")
    assert "a fault of ours" in caplog.text


def test_clients_that_say_nothing_are_hung_up_on(served: Web) -> None:
    silent = [socket.create_connection(("127.0.0.1", served.server_port), timeout=10) for _ in range(CONNECTIONS)]
    for one in silent:
        # The server closes what said nothing in time.
        assert one.recv(1) == b""
        one.close()
    assert ask(served, "GET", "/") == (200, "here\n")


def test_slow_clients_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds its connection for as long as it likes, and all of them together hold all that there are."""
    monkeypatch.setattr(web._Handler, "timeout", 600.0)
    with Web("127.0.0.1:0", {"/healthz": lambda: text_page(200, "alive")}) as made:
        made.start()
        slow = [socket.create_connection(("127.0.0.1", made.server_port), timeout=10) for _ in range(3 * CONNECTIONS)]
        for one in slow[-CONNECTIONS:]:
            one.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        for _ in range(3):
            asked = time.monotonic()
            assert ask(made, "GET", "/healthz") == (200, "alive\n")
            assert time.monotonic() - asked < 5
        # The first to come were the first to go.
        assert slow[0].recv(1) == b""
        for one in slow:
            one.close()
        made.shutdown()


def test_what_is_being_worked_out_makes_no_room() -> None:
    """Only where every connection waits for its page is a new one turned away; none of theirs is lost."""
    begun, go_on = threading.Semaphore(0), threading.Event()

    def page() -> Page:
        begun.release()
        assert go_on.wait(60)
        return text_page(200, "made")

    with Web("127.0.0.1:0", {"/": page}) as made:
        made.start()
        waiting = [socket.create_connection(("127.0.0.1", made.server_port), timeout=60) for _ in range(CONNECTIONS)]
        for one in waiting:
            one.sendall(b"GET / HTTP/1.0\r\n\r\n")
        for number in range(CONNECTIONS):
            assert begun.acquire(timeout=30), f"only {number} requests were begun within 30 s"
        one_more = socket.create_connection(("127.0.0.1", made.server_port), timeout=30)
        assert one_more.recv(1) == b""
        go_on.set()
        assert [one.makefile("rb").read().endswith(b"made\n") for one in waiting] == [True] * CONNECTIONS
        for one in (*waiting, one_more):
            one.close()
        made.shutdown()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9464", 200),
        ("10.244.1.17:9464", 200),
        ("[fd00::17]:9464", 200),
        ("localhost:9464", 200),
        ("ragwatch.localhost", 200),
        ("RagWatch:9464", 200),
        ("watch.example.", 200),
        ("rebound.example:9464", 421),
        ("127.0.0.1.rebound.example", 421),
        ("user@127.0.0.1", 421),
        ("[::1", 421),
        ("localhost:port", 421),
    ],
)
def test_who_asks_by_a_foreign_name_is_told_nothing(host: str, status: int) -> None:
    with Web("127.0.0.1:0", {"/": lambda: text_page(200, "here")}, hosts=("ragwatch", "watch.example")) as made:
        made.start()
        connection = http.client.HTTPConnection("127.0.0.1", made.server_port, timeout=10)
        connection.putrequest("GET", "/", skip_host=True)
        connection.putheader("Host", host)
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, b"here" in answer.read()) == (status, status == 200)
        connection.close()
        made.shutdown()


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Bearer s3cret-token", 200),
        ("bearer  s3cret-token", 200),
        ("Basic " + base64.b64encode(b"anybody:s3cret-token").decode(), 200),
        ("Basic " + base64.b64encode(b"s3cret-token:").decode(), 401),
        ("Basic ***", 401),
        ("s3cret-token", 401),
    ],
)
def test_with_a_token_only_whether_it_lives_is_told_to_everybody(given: str | None, status: int) -> None:
    pages = {"/": lambda: text_page(200, "here"), "/readyz": lambda: text_page(503, "docs: starting")}
    with Web("127.0.0.1:0", pages, token="s3cret-token") as made:
        made.start()
        headers = {"Authorization": given} if given else {}
        for path, code, told in (("/", status, "here\n"), ("/readyz", 503, "docs: starting\n")):
            connection = http.client.HTTPConnection("127.0.0.1", made.server_port, timeout=10)
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            assert answer.status == code
            assert (answer.read().decode() == told) is (status == 200)
            assert bool(answer.headers["WWW-Authenticate"]) is (code == 401)
            connection.close()
        made.shutdown()


def test_an_address_in_use_names_the_setting(served: Web) -> None:
    with pytest.raises(ConfigError, match=r"daemon\.listen = '127.0.0.1:"):
        Web(f"127.0.0.1:{served.server_port}", {})


def test_an_address_of_version_six() -> None:
    with Web("[::1]:0", {}) as made:
        assert made.address.startswith("http://[::1]:")
