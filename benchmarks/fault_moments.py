"""What `faults.py` tries while a repair runs: kills, a server and an endpoint that fail in the middle."""

import json
from collections.abc import Callable
from typing import Any

from benchmarks.fault_cases import REPAIR, Case, nothing, release_leases
from benchmarks.fault_proxy import CUT, Fate, FaultProxy, qdrant_error, writes
from benchmarks.fault_world import World, page
from tests.servers.embeddings import Changed, Hang, Raw, Reset, Status

BAD = "unrepeatable"
"""A word of one text; endpoints that refuse it refuse that text."""


def _work(world: World) -> None:
    """Something of everything to do: encode, reuse, relabel, delete."""
    world.write("refunds.md", page("refunds", version=2))
    world.write("keys.md", "# Keys\n\nA paragraph that is new at the top.\n\n" + page("keys"))
    world.write("news.md", page("news"))
    (world.docs / "vans.md").unlink()
    world.write("bad.md", page("bread") + f"\n## Bad\n\nA text that is {BAD} and much longer than it need be.\n")


# -- kills -------------------------------------------------------------------------------------------------------------

STEPS = ("prepare", "encode", "upsert", "payload", "delete", "manifest")
KILLS = [
    Case("kill -9", f"{when} {step}", _work, ((f"!kill {when} {step}",), ("scan",)), mend=release_leases)
    for step in STEPS
    for when in ("before", "after")
]

# -- endpoint ----------------------------------------------------------------------------------------------------------


def _endpoint(change: Callable[[World], None]) -> Callable[[World], None]:
    def inject(world: World) -> None:
        _work(world)
        change(world)

    return inject


def _always(behaviour: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.endpoint.always = behaviour

    return _endpoint(change)


def _next(*behaviours: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.endpoint.script.extend(behaviours)

    return _endpoint(change)


def _refuses(code: int) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.endpoint.refused_text, world.endpoint.refusal = BAD, code

    return _endpoint(change)


def _at_most(texts: int) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.endpoint.max_texts = texts

    return _endpoint(change)


def _well(world: World) -> None:
    world.endpoint.always, world.endpoint.refused_text, world.endpoint.max_texts = None, "", 0
    world.endpoint.script.clear()
    world.endpoint.api_key = ""
    world.endpoint.model = "served-model"


def _set(name: str, value: str) -> Callable[[World], None]:
    return _endpoint(lambda world: setattr(world.endpoint, name, value))


def _indexes(change: Callable[[int], Any]) -> Changed:
    def renumber(entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            entry["index"] = change(entry["index"])

    return Changed(renumber)


def _no_index(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        del entry["index"]


def _first(value: list[float]) -> Changed:
    def spoil(entries: list[dict[str, Any]]) -> None:
        entries[0]["embedding"] = value

    return Changed(spoil)


TRIED = (REPAIR, ("scan",), ("plan", "--check"))
RETRY = (*REPAIR, "--retry")


def _met(name: str, inject: Callable[[World], None], *, ends: int = 0, well: bool = True) -> Case:
    mend = _well if well else nothing
    return Case("endpoint", name, inject, TRIED, mend=mend, repair=RETRY, ends=ends)


ENDPOINT = [
    _met("refuses one text for good (400)", _refuses(400), ends=3, well=False),
    _met("refuses one text for a while (400)", _refuses(400)),
    _met("answers 500 to any request with one text", _refuses(500), ends=3, well=False),
    _met("answers 422 to any request with one text, for a while", _refuses(422)),
    _met("takes 2 texts at a time (413)", _at_most(2), well=False),
    _met("503 twice, then well", _next(Status(503), Status(503)), well=False),
    _met("503 throughout", _always(Status(503))),
    _met("401 throughout", _set("api_key", "another")),
    _met("does not know the model (404)", _set("model", "another")),
    _met("breaks connections", _always(Reset())),
    _met("one connection broken, then well", _next(Reset()), well=False),
    _met("says nothing throughout", _always(Hang(6))),
    _met(
        "429 with a date beyond any calendar",
        _next(Status(429, {"Retry-After": "Fri, 31 Dec 99999 23:59:59 GMT"})),
        well=False,
    ),
    _met("429 with a number beyond any", _next(Status(429, {"Retry-After": "9" * 30})), well=False),
    _met("`index` counts from 1", _always(_indexes(lambda one: one + 1)), well=False),
    _met("`index` always 0", _always(_indexes(lambda _: 0))),
    _met("`index` missing", _always(Changed(_no_index))),
    _met("too few vectors", _always(Changed(lambda entries: entries.pop()))),
    _met("200 with an `error` body", _always(Raw(json.dumps({"error": {"message": "overloaded"}})))),
    _met("200 with half of the JSON", _always(Raw('{"object": "list", "data": [{"index": 0, "emb'))),
    _met("a vector of another length", _always(_first([1.0, 0.0]))),
    _met("a vector of zeros", _always(_first([0.0] * 64))),
    _met("a vector of NaN", _always(_first([float("nan")] * 64))),
]

# -- server ------------------------------------------------------------------------------------------------------------


def _proxied(
    proxy: FaultProxy, fate: Fate, *, nth: int = 1, more: int = 0, after: bool = False, reads: bool = False
) -> Callable[[World], None]:
    def inject(world: World) -> None:
        _work(world)
        proxy.concerned = (lambda method, path: not writes(method, path)) if reads else writes
        proxy.spoil(fate, nth=nth, more=more, after=after)
        world.through = proxy.origin
        world.configure()

    return inject


def _direct(world: World) -> None:
    world.through = ""
    world.configure()
    release_leases(world)


def _nobody_there(world: World) -> None:
    _work(world)
    world.through = "http://127.0.0.1:9"
    world.configure()


FATES = (
    ("connection broken before it arrives", Reset(), False),
    ("answer lost after it was done", Reset(), True),
    ("answered 500 undone", qdrant_error(500, "Service internal error"), False),
    ("answered 500 though done", qdrant_error(500, "Service internal error"), True),
    ("answered 503", Status(503), False),
    ("answered 429", Status(429, {"Retry-After": "1"}), False),
    ("half of the answer", CUT, True),
)
FOREVER = 10**6
A_WHILE = 5
"""Requests that are answered "later", which is waited out for minutes."""


def server_cases(proxy: FaultProxy) -> list[Case]:
    """Faults between ragwatch and the server, by a proxy; it must run."""
    cases = [Case("server", "nobody listens", _nobody_there, (("scan",), REPAIR), mend=_direct)]
    for words, fate, after in FATES:
        for nth in (2, 4, 6):
            name = f"write {nth}: {words}, once"
            cases.append(
                Case("server", name, _proxied(proxy, fate, nth=nth, after=after), (REPAIR, ("scan",)), mend=_direct)
            )
        most, which = (A_WHILE, "six") if "429" in words else (FOREVER, "every")
        name = f"{which} write from the third on: {words}"
        inject = _proxied(proxy, fate, nth=3, more=most, after=after)
        cases.append(Case("server", name, inject, (REPAIR, ("scan",)), mend=_direct))
        name = f"{which} read: {words}"
        inject = _proxied(proxy, fate, more=most, after=after, reads=True)
        cases.append(Case("server", name, inject, (("scan",), REPAIR), mend=_direct))
    return cases
