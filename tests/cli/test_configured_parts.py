"""Every kind of source, chunker and layout, from the configuration file to a healthy scan."""

import json
import sqlite3
from pathlib import Path

import pytest

from ragwatch.app import open_pipeline
from ragwatch.errors import ExitCode
from tests.cli.conftest import Workspace

FILES = '[[sources]]\nname = "docs"\npath = "docs"\n'


def assert_full_circle(workspace: Workspace, documents: int) -> None:
    assert workspace.ragwatch("reindex", "--yes").code == ExitCode.DONE
    outcome = workspace.ragwatch("scan", "--deep", "--json")
    assert outcome.value["findings"] == []
    assert outcome.value["documents"] == documents


def test_sql_through_a_variable(workspace: Workspace) -> None:
    with sqlite3.connect("tickets.db") as database:
        database.execute("create table ticket (id integer, body text, subject text, changed text)")
        database.executemany(
            "insert into ticket values (?, ?, ?, ?)",
            [(n, f"The answer to ticket {n}.", f"T{n}", "1") for n in range(5)],
        )
    database.close()
    workspace.monkeypatch.setenv("TICKETS_URL", "sqlite:///tickets.db")
    workspace.configure(
        FILES,
        '[[sources]]\nname = "tickets"\nkind = "sql"\nurl_env = "TICKETS_URL"\nquery = "select * from ticket"\n'
        'text_column = "body"\ntitle_column = "subject"\nchanged_at_column = "changed"\n',
    )
    assert_full_circle(workspace, 5)
    with sqlite3.connect("tickets.db") as database:
        database.execute("update ticket set body = 'Another answer.', changed = '2' where id = 3")
        database.execute("delete from ticket where id = 4")
    database.close()
    found = {(f["kind"], f["document"]) for f in workspace.ragwatch("scan", "--json").value["findings"]}
    assert found == {("stale", "3"), ("tombstone", "4")}


def test_json_lines(workspace: Workspace) -> None:
    rows = [{"key": f"faq-{n}", "answer": f"Answer number {n}.", "team": "support"} for n in range(4)]
    Path("faq.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    workspace.configure(
        FILES,
        '[[sources]]\nname = "faq"\nkind = "jsonl"\npath = "faq.jsonl"\nid_field = "key"\ntext_field = "answer"\n'
        'metadata_fields = ["team"]\n',
    )
    assert_full_circle(workspace, 4)


def test_parquet(workspace: Workspace) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": ["a", "b"], "text": ["First text.", "Second text."]}), "rows.parquet")
    workspace.configure(FILES, '[[sources]]\nname = "rows"\nkind = "parquet"\npath = "rows.parquet"\n')
    assert_full_circle(workspace, 2)


def test_several_sources_of_the_same_document_ids(workspace: Workspace) -> None:
    Path("more").mkdir()
    Path("more/refunds.md").write_text("# Refunds\n\nRefunds are paid within thirty days.\n")
    workspace.configure(FILES, FILES + '\n[[sources]]\nname = "more"\npath = "more"\n')
    assert_full_circle(workspace, 4)
    Path("more/refunds.md").write_text("# Refunds\n\nNo refunds.\n")
    findings = workspace.ragwatch("scan", "--json").value["findings"]
    assert [(f["kind"], f["source"], f["document"]) for f in findings] == [("stale", "more", "refunds.md")]


def test_a_source_removed_from_the_configuration_is_gone_and_the_guard_asks(workspace: Workspace) -> None:
    Path("more").mkdir()
    Path("more/x.md").write_text("# X\n\nText.\n")
    workspace.configure(FILES, FILES + '\n[[sources]]\nname = "more"\npath = "more"\n')
    assert_full_circle(workspace, 4)
    workspace.configure('\n[[sources]]\nname = "more"\npath = "more"\n', "")
    assert workspace.ragwatch("scan", "--json").value["counts"] == {"tombstone": 1}
    assert workspace.ragwatch("reindex", "--yes").code == ExitCode.REFUSED
    assert workspace.ragwatch("reindex", "--yes", "--override", "empty-source").code == ExitCode.DONE
    assert_full_circle(workspace, 3)


def test_a_langchain_splitter(workspace: Workspace) -> None:
    workspace.configure(
        "[state]",
        '[chunker]\nkind = "langchain"\ntarget = "langchain_text_splitters:RecursiveCharacterTextSplitter"\n'
        "options = { chunk_size = 40, chunk_overlap = 0 }\n\n[state]",
    )
    assert_full_circle(workspace, 3)


def test_any_callable_as_chunker(workspace: Workspace) -> None:
    Path("cutter.py").write_text("def cut(text):\n    return [line for line in text.splitlines() if line]\n")
    workspace.monkeypatch.syspath_prepend(str(workspace.folder))
    workspace.configure("[state]", '[chunker]\nkind = "callable"\ntarget = "cutter:cut"\n\n[state]')
    assert_full_circle(workspace, 3)
    assert workspace.ragwatch("scan", "--json").value["points"] == 6


def test_a_change_of_chunker_is_found_and_repaired(indexed: Workspace) -> None:
    indexed.configure("[state]", "[chunker]\nmax_tokens = 16\n\n[state]")
    outcome = indexed.ragwatch("scan", "--json")
    assert set(outcome.value["counts"]) == {"chunker_mismatch"}
    assert_full_circle(indexed, 3)


@pytest.mark.parametrize(
    ("layout", "text"), [("plain", "text"), ("langchain", "page_content"), ("haystack", "content")]
)
def test_existing_readers_find_the_text_where_they_expect_it(workspace: Workspace, layout: str, text: str) -> None:
    workspace.configure('path = "index"', f'path = "index"\nlayout = "{layout}"')
    assert_full_circle(workspace, 3)
    with open_pipeline(workspace.config) as pipeline:
        payloads = [point.payload for point in pipeline.store.scroll()]
    assert "# Limits\n\nSixty calls a minute." in {str(payload[text]).strip() for payload in payloads}


def test_a_truncating_chunker_is_found(workspace: Workspace) -> None:
    workspace.write("long.md", "word " * 50)
    Path("wholes.py").write_text("def whole(text):\n    return [text]\n")
    workspace.monkeypatch.syspath_prepend(str(workspace.folder))
    workspace.configure("dimensions = 64", "dimensions = 64\nmax_tokens = 20")
    workspace.configure("[state]", '[chunker]\nkind = "callable"\ntarget = "wholes:whole"\n\n[state]')
    workspace.ragwatch("reindex", "--yes")
    assert workspace.ragwatch("scan", "--json").value["counts"] == {"truncated": 1}
    assert workspace.ragwatch("scan", "--json").value["findings"][0]["document"] == "long.md"
