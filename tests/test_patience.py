"""The user's code in our process: what hangs is ended, what is slow is not, and nobody else's alarm is touched."""

import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from ragwatch.corpus import callable_chunker
from ragwatch.corpus.callable_chunker import CallableChunker
from ragwatch.corpus.document import Document
from ragwatch.errors import ConfigError, RetrieverError
from ragwatch.patience import TookTooLongError, call_within
from ragwatch.probes import retrievers
from ragwatch.probes.retrievers import CallableRetriever


def hang(*_: object) -> list[str]:
    time.sleep(600)
    return []


def hang_and_catch() -> None:
    while True:
        with suppress(Exception):
            time.sleep(600)


def compute() -> None:
    while True:
        pass


@pytest.mark.parametrize("call", [hang, hang_and_catch, compute])
def test_what_hangs_is_ended(call: Callable[[], object]) -> None:
    with pytest.raises(TookTooLongError):
        call_within(0.1, call)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_what_comes_back_in_time_is_left_alone() -> None:
    assert call_within(60, sorted, [1, 2], reverse=True) == [2, 1]
    with pytest.raises(ZeroDivisionError):
        call_within(60, lambda: 1 / 0)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_the_alarm_of_somebody_else_is_not_touched() -> None:
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        assert call_within(60, lambda: signal.getitimer(signal.ITIMER_REAL)[0]) == 0
    finally:
        signal.signal(signal.SIGALRM, before)


def test_in_another_thread_there_is_no_limit() -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(call_within(60, lambda: 1)), daemon=True)
    thread.start()
    thread.join(60)
    assert found == [1]


def test_a_chunker_and_a_retriever_that_hang_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callable_chunker, "CALL_SECONDS", 0.1)
    monkeypatch.setattr(retrievers, "CALL_SECONDS", 0.1)
    with pytest.raises(ConfigError, match=r"my:hang was not done with document s:d within 0\.1 s"):
        CallableChunker(hang, "my:hang").split(Document("s", "d", "text"), lambda texts: [len(text) for text in texts])
    with pytest.raises(RetrieverError, match=r"tests.test_patience:hang was not done within 0\.1 s"):
        CallableRetriever("tests.test_patience:hang").retrieve("q", 3)
