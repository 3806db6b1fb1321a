"""Test sets of other tools are read as they write them; a bad line is named."""

import json
from pathlib import Path

import pytest

from ragwatch.errors import ConfigError, NotFoundError
from ragwatch.probes.import_formats import Format, Proposal, Wanted, format_of, read_proposals

BEIR = {
    "queries.jsonl": '{"_id": "1", "text": "What is it?"}\n{"_id": "2", "text": "No"}\n{"_id": "3", "text": "Bad"}\n',
    "corpus.jsonl": '{"_id": "d1", "title": "T", "text": "A tower."}\n{"_id": "d2", "title": "Only", "text": ""}\n',
    "qrels/test.tsv": "query-id\tcorpus-id\tscore\n1\td2\t1\n1\td1\t2\n3\td1\t0\n9\td1\t1\n",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def rows(path: Path, kind: Format, qrels: Path | None = None) -> list[Proposal]:
    return list(read_proposals(path, kind, qrels=qrels))


def test_a_beir_folder(tmp_path: Path) -> None:
    found = rows(write(tmp_path, BEIR), Format.BEIR)
    assert [(one.id, one.query, one.tags) for one in found[:2]] == [
        ("1", "What is it?", ("test",)),
        ("3", "Bad", ("test",)),
    ]
    assert found[0].wanted == (Wanted("d1", "A tower.", whole=True), Wanted("d2", "Only", whole=True))
    assert found[1].wanted == ()
    assert found[2].fault == "judged, but there is no query '9'"
    assert len(found) == 3


def test_trec_topics_and_qrels(tmp_path: Path) -> None:
    topics = "<top>\n<num> Number: 301\n<title> International\nOrganized Crime\n<desc> Description:\nWho?\n</top>\n"
    write(tmp_path, {"topics": topics, "qrels": "301 0 d1 0\n301 0 d2 2\n\n301 0 d3 1\n"})
    (found,) = rows(tmp_path / "topics", Format.TREC, tmp_path / "qrels")
    assert (found.id, found.query) == ("301", "International Organized Crime")
    assert [wanted.document for wanted in found.wanted] == ["d2", "d3"]


def test_topics_as_lines_and_as_xml(tmp_path: Path) -> None:
    xml = '<topics><topic number="7"><query>covid origin</query><question>where from</question></topic></topics>'
    write(tmp_path, {"lines.tsv": "7\tcovid origin\n", "topics.xml": xml, "qrels": "7 0 d1 1"})
    for name in ("lines.tsv", "topics.xml"):
        (found,) = rows(tmp_path / name, Format.TREC, tmp_path / "qrels")
        assert (found.id, found.query) == ("7", "covid origin")


SAMPLE = {
    "user_input": "When?",
    "reference_contexts": ["<1-hop>\n\nIt is paid in May.", "Other."],
    "reference": "In May.",
    "synthesizer_name": "single_hop",
}
RAGAS_WRITES = {
    "set.json": json.dumps([SAMPLE]),
    "dataset.json": json.dumps({"samples": [{"eval_sample": SAMPLE, "synthesizer_name": "single_hop"}]}),
    "set.jsonl": json.dumps(SAMPLE) + "\n",
    "set.csv": "user_input,reference_contexts,reference,synthesizer_name\n"
    "When?,\"['<1-hop>\\n\\nIt is paid in May.', 'Other.']\",In May.,single_hop\n",
}


@pytest.mark.parametrize("name", RAGAS_WRITES)
def test_ragas_test_sets(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, RAGAS_WRITES) / name
    assert format_of(path, qrels=None) is Format.RAGAS
    (found,) = rows(path, Format.RAGAS)
    assert (found.query, found.answer, found.tags) == ("When?", "In May.", ("single_hop",))
    assert found.wanted == (Wanted("", "It is paid in May."), Wanted("", "Other."))
    assert found.fields == {"reviewed": False}


def test_of_a_conversation_the_last_question_is_asked(tmp_path: Path) -> None:
    turns = [
        {"type": "human", "content": "Hi"},
        {"type": "ai", "content": "Yes?"},
        {"type": "human", "content": "When?"},
    ]
    path = write(tmp_path, {"a.json": json.dumps([{"user_input": turns}, {"user_input": ""}])}) / "a.json"
    first, second = rows(path, Format.RAGAS)
    assert (first.query, first.tags) == ("When?", ("several turns",))
    assert (second.query, second.fault) == ("", "it has no user_input")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_with_our_columns(tmp_path: Path, separator: str) -> None:
    header = separator.join(("id", "query", "document", "quote", "tags", "guards", "forbidden", "team"))
    line = separator.join(
        ("a", '"When, how?"', "a.md", "in May", "x; y" if separator != ";" else '"x; y"', "g", "no", "ops")
    )
    path = write(tmp_path, {"a.csv": f"{header}\n{line}\n"}) / "a.csv"
    (found,) = rows(path, format_of(path, qrels=None))
    assert (found.id, found.query, found.tags) == ("a", "When, how?", ("x", "y"))
    assert found.wanted == (Wanted("a.md", "in May"),)
    assert found.fields == {"forbidden": "no", "team": "ops", "guards": "g"}


def test_our_own_lines_keep_their_unknown_fields(tmp_path: Path) -> None:
    path = (
        write(tmp_path, {"a.jsonl": '{"id": "a", "query": "?", "source": "s", "answer": "b", "mine": [1]}\n'})
        / "a.jsonl"
    )
    (found,) = rows(path, format_of(path, qrels=None))
    assert (found.source, found.answer, found.fields, found.wanted) == ("s", "b", {"mine": [1]}, ())


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.jsonl", '{"id": "a"}\n{', "a.jsonl:2: not valid JSON"),
        ("a.jsonl", "[1]", "a.jsonl:1: not an object"),
        ("a.csv", "id,query\na,b,c\n", "a.csv:2: more values than the header has columns"),
        ("a.csv", 'id,query\na,"b', "a.csv:2: not valid CSV"),
        ("a.json", "{", "a.json: not valid JSON"),
        ("a.json", "{}", "a.json: a RAGAS test set is a list of samples"),
        ("a.json", "[1]", "a.json: sample 1 is no object"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = write(tmp_path, {name: text}) / name
    with pytest.raises(ConfigError) as refused:
        rows(path, format_of(path, qrels=None))
    assert words in refused.value.fact


@pytest.mark.parametrize("line", ["301 0 d1", "301 0 d1 yes", "301 0 d1 1 more"])
def test_a_judgement_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    write(tmp_path, {"topics": "301\tq\n", "qrels": f"301 0 d1 1\n{line}\n"})
    if line == "301 0 d1":
        line = "three fields are BEIR's"
        (tmp_path / "qrels").write_text("301 0 d1 1\n301 d1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"qrels:2: "):
        rows(tmp_path / "topics", Format.TREC, tmp_path / "qrels")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"there is no file .*none\.csv"):
        rows(tmp_path / "none.csv", Format.CSV)
    with pytest.raises(NotFoundError, match=r"holds no queries\.jsonl"):
        rows(tmp_path, Format.BEIR)
    write(tmp_path, {"queries.jsonl": "", "topics": ""})
    with pytest.raises(NotFoundError, match=r"holds no \*\.tsv"):
        rows(tmp_path, Format.BEIR)
    with pytest.raises(ConfigError, match="come with relevance judgements"):
        rows(tmp_path / "topics", Format.TREC)
    with pytest.raises(ConfigError, match="cannot be told"):
        format_of(tmp_path / "topics", qrels=None)


def test_our_own_lines_bring_their_further_passages(tmp_path: Path) -> None:
    line = '{"id": "a", "query": "?", "document": "a.md", "also": [{"document": "b.md", "quote": "q", "source": "s"}]}'
    path = write(tmp_path, {"a.jsonl": f"{line}\n"}) / "a.jsonl"
    (found,) = rows(path, format_of(path, qrels=None))
    assert (found.wanted, found.fields) == ((Wanted("a.md"), Wanted("b.md", "q", source="s")), {})
