"""`ragwatch golden` as a user types it."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragwatch.errors import ExitCode
from tests.cli.conftest import Workspace
from tests.servers.writing_judge import WritingJudge

TOPICS = ("refund", "parcel", "tower", "keypad", "courier", "depot", "battery", "sensor", "label", "account")


@pytest.fixture
def library(workspace: Workspace) -> Workspace:
    """Ten more documents with whole sentences, indexed."""
    for topic in TOPICS:
        workspace.write(
            f"{topic}.md",
            f"# {topic.capitalize()} rules\n\nEvery {topic} form is kept for twelve months in the {topic} archive.\n\n"
            f"## Lost {topic} papers\n\nIf the {topic} paper is lost, a {topic} clerk writes another within a week.\n",
        )
    assert workspace.ragwatch("reindex", "--yes").code == 0
    return workspace


def lines(workspace: Workspace, name: str = "golden.jsonl") -> list[dict[str, object]]:
    text = (workspace.folder / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def answer(workspace: Workspace, text: str) -> None:
    """Let a person sit at the terminal and type this."""
    answers = iter(text.split("\n"))
    workspace.monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    workspace.monkeypatch.setattr("typer.prompt", lambda *_, **__: next(answers))
    workspace.monkeypatch.setattr("typer.confirm", lambda *_, **__: next(answers) == "y")


# --- generate ------------------------------------------------------------------------------------------------


def test_generate_adds_queries_and_prints_the_filters_counts(library: Workspace) -> None:
    outcome = library.ragwatch("golden", "generate", "--count", "8", "--yes")
    assert outcome.code == ExitCode.DONE, outcome.err
    assert "8 kept" in " ".join(outcome.out.split())
    assert "ragwatch golden review" in outcome.err
    assert len(lines(library)) == 8
    assert all(line["reviewed"] is False and line["origin"] == "generated" for line in lines(library))


def test_generate_prints_json_and_writes_nothing_in_a_dry_run(library: Workspace) -> None:
    value = library.ragwatch("golden", "generate", "--count", "5", "--dry-run", "--json").value
    assert value["kept"] == len(value["queries"]) == 5
    assert not (library.folder / "golden.jsonl").exists()


def test_generate_says_when_there_are_fewer(library: Workspace) -> None:
    outcome = library.ragwatch("golden", "generate", "--count", "5000", "--yes")
    assert outcome.code == ExitCode.INCOMPLETE
    assert "5,000 were wanted" in outcome.out


def test_generate_asks_first(library: Workspace) -> None:
    outcome = library.ragwatch("golden", "generate", "--count", "5")
    assert outcome.code == ExitCode.USAGE
    assert "--yes" in outcome.err
    answer(library, "n")
    assert "nothing was written" in library.ragwatch("golden", "generate", "--count", "5").err
    assert not (library.folder / "golden.jsonl").exists()
    answer(library, "y")
    library.ragwatch("golden", "generate", "--count", "5")
    assert len(lines(library)) == 5


def test_generate_needs_an_index(workspace: Workspace) -> None:
    outcome = workspace.ragwatch("golden", "generate", "--yes")
    assert outcome.code == ExitCode.NOT_FOUND
    assert "ragwatch reindex" in outcome.err


def test_the_configuration_names_the_file(library: Workspace) -> None:
    text = library.config.read_text(encoding="utf-8")
    library.config.write_text(text + '\n[probe]\ngolden = "tests/mine.jsonl"\nk = 3\n', encoding="utf-8")
    value = library.ragwatch("golden", "generate", "--count", "5", "--yes", "--json").value
    assert value["k"] == 3
    assert len(lines(library, "tests/mine.jsonl")) == 5


# --- generate --with-judge ------------------------------------------------------------------------------------


@pytest.fixture
def judge() -> Iterator[WritingJudge]:
    with WritingJudge().running() as server:
        assert isinstance(server, WritingJudge)
        yield server


@pytest.fixture
def judged(workspace: Workspace, judge: WritingJudge) -> Workspace:
    """Documents with names in their sentences, indexed, and a judge that writes."""
    for town, topic in zip(("Aldham", "Berwick", "Corbrook", "Dunmore"), TOPICS, strict=False):
        workspace.write(
            f"{town}.md",
            f"# {town}\n\nEvery {topic} form of {town} is kept for twelve months in the {topic} archive.\n\n"
            f"Lost {topic} papers are written again within one week by a sworn clerk.\n",
        )
    section = (
        f'[judge]\nbase_url = "{judge.base_url}"\nmodel = "a-writer"\nretries = 0\nprice_per_million_tokens = 2.0\n'
    )
    workspace.configure("[[sources]]", f"{section}\n[[sources]]")
    assert workspace.ragwatch("reindex", "--yes").code == 0
    return workspace


def test_a_judge_writes_queries_and_its_cost_is_shown(judged: Workspace, judge: WritingJudge) -> None:
    outcome = judged.ragwatch("golden", "generate", "--with-judge", "--count", "2", "--yes")
    assert outcome.code == ExitCode.DONE, outcome.err
    said = " ".join(outcome.out.split())
    assert f"{len(judge.requests)} requests, 0 from the cache" in said
    assert "USD" in said
    assert "2 kept" in said
    assert "ragwatch golden review" in outcome.err
    assert all(line["origin"] == "ragas" and "ragas" in str(line["tags"]) for line in lines(judged))
    again = judged.ragwatch("golden", "generate", "--with-judge", "--count", "2", "--dry-run", "--json").value
    assert again["known"] > 0
    assert again["judge"]["usage"]["cached"] > 0
    assert len(lines(judged)) == 2


def test_an_estimate_asks_nothing_and_holds(judged: Workspace, judge: WritingJudge) -> None:
    value = judged.ragwatch("golden", "generate", "--with-judge", "--estimate", "--count", "2", "--json").value
    assert judge.requests == []
    assert value["cost"] == [pytest.approx(tokens * 2e-6) for tokens in value["tokens"]]
    told = judged.ragwatch("golden", "generate", "--with-judge", "--estimate", "--count", "2")
    assert (told.code, judge.requests) == (ExitCode.DONE, [])
    assert f"{value['requests'][0]} to {value['requests'][1]} requests" in told.out
    assert judged.ragwatch("golden", "generate", "--with-judge", "--count", "2", "--yes").code == ExitCode.DONE
    assert len(judge.requests) <= value["requests"][1]
    # A token of this corpus has about four bytes, and the estimate is on the high side.
    prompts = sum(len(body["messages"][0]["content"].encode()) for body in judge.requests) / len(judge.requests)
    estimated = 3 * (value["tokens"][1] / value["requests"][1] - 60)
    assert 0.75 <= estimated / prompts <= 1.33


def test_rules_have_no_cost_to_estimate(library: Workspace) -> None:
    assert "give both, or neither" in library.ragwatch("golden", "generate", "--estimate").err


def test_over_budget_what_was_written_is_kept(judged: Workspace) -> None:
    judged.configure("retries = 0", "retries = 0\nbudget_tokens = 3000\nconcurrency = 1\nmax_tokens = 200")
    outcome = judged.ragwatch("golden", "generate", "--with-judge", "--count", "50", "--yes")
    assert outcome.code == ExitCode.INCOMPLETE
    assert "ended early: budget tokens" in " ".join(outcome.out.split())
    assert 0 < len(lines(judged)) < 50


def test_without_a_judge_none_is_invented(library: Workspace) -> None:
    outcome = library.ragwatch("golden", "generate", "--with-judge")
    assert outcome.code == ExitCode.USAGE
    assert "no judge is configured" in outcome.err
    assert "set judge.base_url and judge.model" in outcome.err
    assert not (library.folder / "golden.jsonl").exists()


def test_without_the_extra_the_error_says_what_to_install(judged: Workspace, judge: WritingJudge) -> None:
    python = judged.folder / "python"
    python.write_text("#!/bin/sh\necho No module named ragas >&2\nexit 1\n", encoding="utf-8")
    python.chmod(0o755)
    judged.configure("retries = 0", f'retries = 0\npython = "{python}"')
    outcome = judged.ragwatch("golden", "generate", "--with-judge")
    assert outcome.code == ExitCode.USAGE
    assert "No module named ragas" in outcome.err
    assert "pip install 'ragwatchd[ragas]'" in outcome.err
    assert judge.requests == []


# --- import --------------------------------------------------------------------------------------------------

CSV = (
    "id,query,document,quote\na,When is it paid?,refunds.md,paid within thirty days\nb,Where?,none.md,nowhere at all\n"
)


def test_import_matches_and_says_what_needs_review(workspace: Workspace) -> None:
    (workspace.folder / "set.csv").write_text(CSV, encoding="utf-8")
    outcome = workspace.ragwatch("golden", "import", "set.csv", "--yes")
    assert outcome.code == ExitCode.INCOMPLETE
    assert "1 matched by document id" in outcome.out
    assert "b: its passage stands nowhere in the corpus, nor in 'none.md'" in outcome.out
    assert [line["id"] for line in lines(workspace)] == ["a", "b"]
    again = workspace.ragwatch("golden", "import", "set.csv", "--yes", "--json")
    assert again.code == ExitCode.DONE
    assert (again.value["imported"], len(again.value["duplicates"])) == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("none.csv",), ExitCode.NOT_FOUND, "there is no file none.csv"),
        (("set.csv", "--format", "excel"), ExitCode.USAGE, "must be one of ragas, beir, trec, csv, jsonl"),
        (("set.csv", "--format", "trec"), ExitCode.USAGE, "--qrels FILE"),
        (("bad.jsonl",), ExitCode.USAGE, "bad.jsonl:2: not valid JSON"),
    ],
)
def test_import_names_what_is_wrong(
    workspace: Workspace, arguments: tuple[str, ...], code: ExitCode, words: str
) -> None:
    (workspace.folder / "set.csv").write_text(CSV, encoding="utf-8")
    (workspace.folder / "bad.jsonl").write_text('{"id": "a", "query": "?"}\n{', encoding="utf-8")
    outcome = workspace.ragwatch("golden", "import", *arguments, "--yes")
    assert (outcome.code, words in outcome.err) == (code, True), outcome.err
    assert not (workspace.folder / "golden.jsonl").exists()


# --- list and review -----------------------------------------------------------------------------------------

GOLDEN = [
    {"id": "a", "query": "When?", "document": "refunds.md", "quote": "paid within thirty days", "tags": ["pay"]},
    {"id": "b", "query": "How?", "document": "refunds.md", "quote": "asked for through the portal", "reviewed": False},
    {"id": "c", "query": "Who?", "document": "gone.md", "needs_review": "no source holds it"},
]


@pytest.fixture
def listed(workspace: Workspace) -> Workspace:
    (workspace.folder / "golden.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in GOLDEN), encoding="utf-8")
    return workspace


def ids(workspace: Workspace, *arguments: str) -> list[str]:
    return [one["id"] for one in workspace.ragwatch("golden", "list", "--json", *arguments).value["queries"]]


def test_list_shows_states_and_selects(listed: Workspace) -> None:
    assert ids(listed) == ["a", "b", "c"]
    assert ids(listed, "--tag", "pay") == ["a"]
    assert ids(listed, "--needs-review") == ["c"]
    out = listed.ragwatch("golden", "list").out
    assert "3 golden queries in golden.jsonl: 1 accepted, 1 unreviewed, 1 needs review" in out


def test_list_asks_the_sources_only_if_told_to(listed: Workspace) -> None:
    value = listed.ragwatch("golden", "list", "--moved", "--json").value
    found = [(one["evidence"]["state"], one["evidence"]["document"]) for one in value["queries"]]
    assert found == [("present", ""), ("moved", "docs:access.md"), ("gone", "")]
    assert "evidence" not in listed.ragwatch("golden", "list", "--json").value["queries"][0]
    assert "moved docs:access.md" in listed.ragwatch("golden", "list", "--moved").out


def test_a_file_without_queries_is_no_error(workspace: Workspace) -> None:
    assert "no golden queries yet" in workspace.ragwatch("golden", "list").out


def test_review_by_ids(listed: Workspace) -> None:
    outcome = listed.ragwatch("golden", "review", "--accept", "b", "--reject", "c", "--json")
    assert outcome.value == {"accepted": ["b"], "rejected": ["c"], "waiting": []}
    assert lines(listed)[1]["document"] == "access.md"
    assert listed.ragwatch("golden", "review", "--accept", "zz").code == ExitCode.NOT_FOUND


def test_review_needs_a_terminal(listed: Workspace) -> None:
    outcome = listed.ragwatch("golden", "review")
    assert outcome.code == ExitCode.USAGE
    assert "--accept ID" in outcome.err


def test_review_goes_through_what_waits_and_keeps_each_answer(listed: Workspace) -> None:
    # c: edit it to name a passage, accept it; b: stop.
    answer(listed, "e\nWho asks?\naccess.md\nAccess is asked for\n\na\nq")
    outcome = listed.ragwatch("golden", "review")
    assert outcome.code == ExitCode.DONE, outcome.err
    assert "1 query left to decide on" in outcome.out
    assert lines(listed)[2] == {
        "id": "c",
        "query": "Who asks?",
        "document": "access.md",
        "quote": "Access is asked for",
        "reviewed": True,
    }
    answer(listed, "r")
    assert "0 queries left to decide on" in listed.ragwatch("golden", "review").out
    assert lines(listed)[1]["rejected"] is True


def test_review_does_not_take_what_could_only_fail(listed: Workspace) -> None:
    answer(listed, "a\ns\ns")
    outcome = listed.ragwatch("golden", "review")
    assert "cannot be accepted" in outcome.err
    assert lines(listed) == GOLDEN


# --- coverage ------------------------------------------------------------------------------------------------


@pytest.fixture
def golden(library: Workspace) -> Workspace:
    assert library.ragwatch("golden", "generate", "--count", "20", "--yes").code == 0
    asked = [str(line["query"]) for line in lines(library)]
    (library.folder / "log.txt").write_text("\n".join(asked * 5 + ["salary bonus pension"] * 50), encoding="utf-8")
    (library.folder / "old.txt").write_text("\n".join(asked), encoding="utf-8")
    return library


def test_coverage_names_what_is_not_asked(golden: Workspace) -> None:
    outcome = golden.ragwatch("golden", "coverage", "log.txt", "--before", "old.txt")
    assert outcome.code == ExitCode.DONE, outcome.err
    said = " ".join(outcome.out.split())
    assert "33.3% of the traffic is farther than" in said
    assert "salary bonus pension" in said
    assert "Against the earlier log" in said
    assert "Context only." in said


def test_coverage_hashed_tells_no_text(golden: Workspace) -> None:
    for arguments in ((), ("--json",)):
        out = golden.ragwatch("golden", "coverage", "log.txt", "--hash", *arguments).out
        assert "33" in out
        assert "pension" not in out
    assert golden.ragwatch("golden", "coverage", "log.txt", "--hash", "--add").code == ExitCode.USAGE


def test_coverage_adds_its_suggestions_to_be_reviewed(golden: Workspace) -> None:
    assert golden.ragwatch("golden", "coverage", "log.txt", "--add", "--yes").code == ExitCode.DONE
    added = lines(golden)[-1]
    assert (added["query"], added["origin"]) == ("salary bonus pension", "traffic")
    assert ids(golden, "--needs-review") == [added["id"]]
    again = golden.ragwatch("golden", "coverage", "log.txt", "--add", "--yes")
    assert "nothing was written" in again.err


@pytest.mark.parametrize(
    ("log", "code", "words"),
    [("none.txt", ExitCode.NOT_FOUND, "none.txt"), ("empty.jsonl", ExitCode.USAGE, "empty.jsonl:1")],
)
def test_coverage_names_a_bad_log(golden: Workspace, log: str, code: ExitCode, words: str) -> None:
    (golden.folder / "empty.jsonl").write_text('{"x": 1}\n', encoding="utf-8")
    outcome = golden.ragwatch("golden", "coverage", log)
    assert (outcome.code, words in outcome.err) == (code, True)


def test_coverage_needs_golden_queries(workspace: Workspace) -> None:
    Path("log.txt").write_text("when?\n", encoding="utf-8")
    assert workspace.ragwatch("golden", "coverage", "log.txt").code == ExitCode.NOT_FOUND
