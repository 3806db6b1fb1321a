"""Calling a dead man's switch: silence is what raises the alarm, so it is called only while everything is well."""

import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable

TIMEOUT_S = 10.0
ACCEPTED = ("http://", "https://")

log = logging.getLogger("ragwatch.daemon")


class Heartbeat:
    """Calls `url` every `seconds` while `well` says nothing. The address is a secret and is in no message."""

    def __init__(self, url: str, seconds: float, well: Callable[[], list[str]]) -> None:
        self._url = url
        self._seconds = seconds
        self._well = well
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        said: list[str] = []
        while not self._stop.wait(self._seconds):
            reasons = self._well()
            if not reasons:
                self._call()
            elif reasons != said:
                log.warning("no heartbeat: %s", "; ".join(reasons[:5]))
            said = reasons

    def _call(self) -> None:
        try:
            request = urllib.request.Request(self._url, headers={"User-Agent": "ragwatch"})  # noqa: S310 - checked
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                answer.read(1000)
        except (OSError, ValueError, urllib.error.URLError) as error:
            # Its text may hold the address.
            log.warning("the heartbeat was not taken: %s", type(error).__name__)
