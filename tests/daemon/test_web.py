"""The daemon's pages: what is answered, and to whom it is not."""

import http.client
import logging
import socket
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


def test_clients_that_say_nothing_are_hung_up_on_and_keep_nobody_out(served: Web) -> None:
    silent = [socket.create_connection(("127.0.0.1", served.server_port), timeout=10) for _ in range(CONNECTIONS)]
    for one in silent:
        # The server closes what said nothing in time.
        assert one.recv(1) == b""
        one.close()
    assert ask(served, "GET", "/") == (200, "here\n")


def test_an_address_in_use_names_the_setting(served: Web) -> None:
    with pytest.raises(ConfigError, match=r"daemon\.listen = '127.0.0.1:"):
        Web(f"127.0.0.1:{served.server_port}", {})


def test_an_address_of_version_six() -> None:
    with Web("[::1]:0", {}) as made:
        assert made.address.startswith("http://[::1]:")
