"""The table of server versions: what each is told of, and that the docs and the compose file say the same."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ragwatch.stores.qdrant import QdrantStore
from ragwatch.stores.server_settings import ServerSettings
from ragwatch.stores.server_versions import (
    KNOWN,
    NEWEST_KNOWN,
    RECOMMENDED,
    TESTED,
    Known,
    Level,
    dotted,
    known_of,
    parsed,
    standing_of,
)
from tests.servers.qdrant import CURRENT, OLD, QdrantServer
from tests.servers.stub_http import Answer, stub_server

ROOT = Path(__file__).parents[2]


def line_of(row: Known) -> str:
    """Return the row as the docs show it."""
    oldest = f"from {dotted(row.since)}, " if row.since > (0, 0, 0) else ""
    versions = f"{oldest}before {dotted(row.before)}" if row.before else f"{dotted(row.since)} and newer"
    upstream = ", ".join(map(str, row.upstream)) or "–"
    return f"| {versions} | {row.level} | {row.fact} | {row.means} | {upstream} |"


def test_the_docs_show_the_table_row_by_row() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    shown = [line for line in text.splitlines() if re.match(r"\| .* \| (refused|fault|note) \|", line)]
    assert shown == [line_of(row) for row in KNOWN]
    for version in (*TESTED, RECOMMENDED, NEWEST_KNOWN):
        assert dotted(version) in text


def test_what_is_deployed_has_no_fault() -> None:
    images = re.findall(r"qdrant/qdrant:v([\d.]+)", (ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    images += [
        version
        for path in (ROOT / "deploy").iterdir()
        for version in re.findall(r"qdrant/qdrant:v([\d.]+)", path.read_text(encoding="utf-8"))
    ]
    assert images == [dotted(RECOMMENDED)]
    assert standing_of(images[0]).faults == ()
    assert RECOMMENDED >= (1, 17, 1)


def test_the_tests_run_on_what_the_table_says() -> None:
    assert sorted(dotted(version) for version in TESTED) == sorted((OLD.version, CURRENT.version))


@pytest.mark.parametrize(
    ("version", "faults", "advice"),
    [
        ("1.16.0", 1, "1.16.3 or newer"),
        ("1.16.3", 0, ""),
        ("1.17.0", 1, "1.17.1 or newer"),
        ("1.17.1", 0, ""),
        ("1.18.3", 0, ""),
        ("1.20.0", 0, ""),
        ("1.31.4", 0, ""),
        ("v1.17.0-dev", 1, "1.17.1 or newer"),
    ],
)
def test_faults_come_with_the_release_that_mends_them(version: str, faults: int, advice: str) -> None:
    found = standing_of(version)
    assert len(found.faults) == faults
    assert set(found.faults) <= set(found.facts)
    assert advice in found.advice
    assert bool(found.advice) == bool(faults)


def test_how_much_is_known_is_said() -> None:
    assert not any("release notes" in fact for fact in standing_of("1.17.0").facts)
    assert "newer than any that the tests run on (1.16.3, 1.17.0)" in standing_of("1.18.3").facts[0]
    assert "none that the tests run on" in standing_of("1.16.5").facts[0]
    assert "newer than any that this ragwatch knows of (up to 1.20.0)" in standing_of("1.31.4").facts[0]


def test_a_fault_names_its_upstream_numbers_and_the_rule_for_our_writes() -> None:
    (fault,) = standing_of("1.17.0").faults
    assert "8455, 8460" in fault
    assert "no write of ragwatch is conditional" in fault


@pytest.mark.parametrize("text", ["development", "", "nightly-2026"])
def test_a_version_that_cannot_be_read_is_neither_good_nor_bad(text: str) -> None:
    found = standing_of(text)
    assert parsed(text) is None
    assert (found.faults, found.advice) == ((), "")
    assert "cannot be looked up" in found.words


def test_every_row_has_a_beginning_before_its_end() -> None:
    assert all(row.before is None or row.since < row.before for row in KNOWN)
    assert [row.level for row in known_of((1, 15, 4))] == [Level.REFUSED]


# -- servers -----------------------------------------------------------------------------------------------------


@pytest.fixture
def open_store() -> Iterator[Callable[[str], QdrantStore]]:
    opened: list[QdrantStore] = []

    def opener(url: str) -> QdrantStore:
        opened.append(QdrantStore("docs", ServerSettings(url), sleep=lambda _: None))
        return opened[-1]

    yield opener
    for store in opened:
        store.close()


@pytest.mark.parametrize("fixture", ["qdrant_server", "qdrant_old_server"])
def test_a_server_is_known_by_its_own_word(
    request: pytest.FixtureRequest, fixture: str, open_store: Callable[[str], QdrantStore]
) -> None:
    server: QdrantServer = request.getfixturevalue(fixture)
    assert open_store(server.url).server().version == server.version


ALIASES = b'{"result": {"aliases": []}, "status": "ok", "time": 0.0}'


@pytest.mark.parametrize(
    "root",
    [Answer(403, b"forbidden"), Answer(404, b"not found"), Answer(405, b"no"), Answer(body=b"<html>a proxy</html>")],
    ids=["403", "404", "405", "a page"],
)
def test_a_proxy_that_hides_the_version_breaks_nothing(root: Answer, open_store: Callable[[str], QdrantStore]) -> None:
    def answer(method: str, path: str) -> Answer:
        if path == "/":
            return root
        return Answer(body=ALIASES) if path == "/aliases" else Answer(404, b'{"status":{"error":"no such collection"}}')

    with stub_server(answer) as stub:
        store = open_store(stub.url)
        assert store.describe() is None
        found = store.server()
        assert found.version == ""
        assert (
            found.words == "Qdrant; the server does not say its version: what is known of versions cannot be looked up"
        )
        store.server()
        assert [path for _, path in stub.requests].count("/") == 1
