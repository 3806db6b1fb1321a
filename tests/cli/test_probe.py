"""`ragwatch probe` and `ragwatch baseline` as a user types them."""

import json
import sys
from collections.abc import Iterator

import pytest

from ragwatch.errors import ExitCode
from tests.cli.conftest import Workspace
from tests.servers.embeddings import Status
from tests.servers.judge import JudgeServer

GOLDEN = (
    {
        "id": "refund",
        "query": "Refunds are paid within days",
        "document": "refunds.md",
        "quote": "Refunds are paid within thirty days.",
    },
    {
        "id": "portal",
        "query": "Access is asked for through the portal",
        "document": "access.md",
        "quote": "Access is asked for through the portal.",
    },
    {"id": "calls", "query": "Sixty calls a minute", "document": "guide/limits.md", "quote": "Sixty calls a minute."},
)


@pytest.fixture
def probed(indexed: Workspace) -> Workspace:
    """An indexed workspace with golden queries."""
    _write(indexed, *GOLDEN)
    return indexed


def _write(workspace: Workspace, *queries: dict[str, str]) -> None:
    lines = "".join(json.dumps(query) + "\n" for query in queries)
    (workspace.folder / "golden.jsonl").write_text(lines, encoding="utf-8")


def test_the_first_probe_names_the_next_step(probed: Workspace) -> None:
    outcome = probed.ragwatch("probe")
    assert outcome.code == ExitCode.DONE
    assert "NO BASELINE" in outcome.out
    assert "ragwatch baseline set" in outcome.out


def test_a_first_probe_in_which_all_failed_is_offered_to_nobody(probed: Workspace) -> None:
    probed.server.always = Status(401)
    outcome = probed.ragwatch("probe")
    assert outcome.code == ExitCode.INCOMPLETE
    assert "NOT MEASURED" in outcome.out
    assert "baseline set" not in outcome.out
    refused = probed.ragwatch("baseline", "set")
    assert refused.code == ExitCode.INCOMPLETE
    assert "3 of 3 queries failed" in refused.err
    assert probed.ragwatch("baseline", "show").code == ExitCode.NOT_FOUND
    assert "not measured: 3 of 3 queries failed" in " ".join(probed.ragwatch("status").out.split())


def test_json_has_measures_with_intervals(probed: Workspace) -> None:
    value = probed.ragwatch("probe", "--json").value
    assert value["decision"] is None
    assert value["outcomes"] == {"ok": 3}
    assert value["measures"]["hit@10"]["value"] == 1.0
    assert {"low", "high", "documents"} <= value["measures"]["MRR"].keys()
    assert {"verdict", "against", "unchanged", "overlap", "lost", "power", "results", "latency_s"} <= value.keys()


def test_a_probe_against_its_baseline(probed: Workspace) -> None:
    first = probed.ragwatch("probe", "--json").value["run"]
    accepted = probed.ragwatch("baseline", "set", "--json")
    assert (accepted.code, accepted.value["frozen"]) == (ExitCode.DONE, first)
    again = probed.ragwatch("probe", "--json")
    # Three documents can call no fall at all, and the probe says so rather than "same".
    assert again.code == ExitCode.INCOMPLETE
    assert (again.value["decision"], again.value["against"]) == ("inconclusive", first)
    assert probed.ragwatch("baseline", "show", "--json").value["frozen"]["run"] == first
    compared = probed.ragwatch("probe", "compare", first, again.value["run"], "--json")
    assert compared.value["decision"] == "inconclusive"


def test_a_withdrawn_text_that_is_retrieved_is_worse_by_itself(probed: Workspace) -> None:
    _write(probed, *GOLDEN, {"id": "never", "query": "Sixty calls a minute", "forbidden": "nothing yet"})
    assert probed.ragwatch("probe").code == ExitCode.DONE
    assert probed.ragwatch("baseline", "set").code == ExitCode.DONE
    _write(probed, *GOLDEN, {"id": "never", "query": "Sixty calls a minute", "forbidden": "Sixty calls a minute."})
    outcome = probed.ragwatch("probe")
    assert outcome.code == ExitCode.FINDINGS
    assert "WORSE" in outcome.out
    assert "A forbidden text was retrieved by: never" in outcome.out


def test_power_is_known_before_anything_is_asked(probed: Workspace) -> None:
    probed.encoder.encoded.clear()
    outcome = probed.ragwatch("probe", "--power")
    assert outcome.code == ExitCode.DONE
    assert "3 golden queries about 3 documents see no fall at once" in outcome.out
    assert probed.encoder.encoded == []


def test_a_callable_is_asked_instead_of_the_collection(probed: Workspace) -> None:
    (probed.folder / "pipeline_under_test.py").write_text(
        "def answer(query, k):\n    return [{'text': 'Refunds are paid within thirty days.', 'id': 'r'}]\n"
    )
    probed.monkeypatch.syspath_prepend(str(probed.folder))
    probed.configure(
        "[[sources]]", '[probe]\nretriever = "callable"\ntarget = "pipeline_under_test:answer"\n\n[[sources]]'
    )
    value = probed.ragwatch("probe", "--json").value
    assert value["settings"]["target"] == "pipeline_under_test:answer"
    assert value["measures"]["hit@10"]["value"] == pytest.approx(1 / 3, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("probe", "--golden", "none.jsonl"), ExitCode.NOT_FOUND, "no file of golden queries"),
        (("probe", "--tag", "unheard"), ExitCode.NOT_FOUND, "has a tag of unheard"),
        (("baseline", "set"), ExitCode.NOT_FOUND, "no probe run to accept"),
        (("baseline", "set", "nonsense"), ExitCode.NOT_FOUND, "no probe run 'nonsense'"),
        (("baseline", "show"), ExitCode.NOT_FOUND, "there is no baseline"),
        (("probe", "compare", "a", "b"), ExitCode.NOT_FOUND, "no probe run 'a'"),
    ],
)
def test_what_is_not_there_is_named(
    probed: Workspace, arguments: tuple[str, ...], code: ExitCode, message: str
) -> None:
    outcome = probed.ragwatch(*arguments)
    assert outcome.code == code
    assert message in outcome.err
    assert "next:" in outcome.err


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('retriever = "http"', "needs url"),
        ('retriever = "callable"\ntarget = "nowhere"', 'needs target = "module:name"'),
        ('retriever = "callable"\ntarget = "no_such_module:f"', "cannot be imported"),
        ("k = 0", "probe.k = 0"),
        ('golde = "x"', 'did you mean "golden"'),
    ],
)
def test_a_bad_setting_is_named(probed: Workspace, setting: str, message: str) -> None:
    probed.configure("[[sources]]", f"[probe]\n{setting}\n\n[[sources]]")
    outcome = probed.ragwatch("probe")
    assert outcome.code == ExitCode.USAGE
    assert message in outcome.err


# -- the judge ---------------------------------------------------------------------------------------------------


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    with JudgeServer().running() as server:
        yield server


def _with_judge(workspace: Workspace, server: JudgeServer, more: str = "") -> None:
    section = f'[judge]\nbase_url = "{server.base_url}"\nmodel = "a-judge"\nrepeats = 2\nretries = 0\n{more}\n'
    workspace.configure("[[sources]]", f"{section}\n[[sources]]")


def test_a_judge_annotates_what_is_retrieved(probed: Workspace, judge: JudgeServer) -> None:
    _with_judge(probed, judge)
    outcome = probed.ragwatch("probe", "--tier", "judge", "--json")
    assert outcome.code == ExitCode.DONE
    assert outcome.value["metrics"]["context_recall"]["mean"] == 0.5
    assert outcome.value["metrics"]["context_precision"]["mean"] == pytest.approx(1.0)
    assert outcome.value["without_judge"]["non_llm_context_recall"]["scored"] == 3
    assert outcome.value["usage"]["requests"] > 0
    again = probed.ragwatch("probe", "--tier", "judge")
    assert "0 requests" in again.out
    assert "decides nothing" in again.out


def test_a_judge_that_is_down_scores_nothing(probed: Workspace, judge: JudgeServer) -> None:
    _with_judge(probed, judge)
    judge.always = Status(503)
    outcome = probed.ragwatch("probe", "--tier", "judge", "--json")
    assert outcome.value["metrics"]["context_recall"]["mean"] is None
    assert "judge_error" in {one["outcome"] for one in outcome.value["judged"]} <= {"judge_error", "not_run"}


def test_a_budget_is_a_hard_stop(probed: Workspace, judge: JudgeServer) -> None:
    _with_judge(probed, judge, "budget_tokens = 300\nconcurrency = 1")
    outcome = probed.ragwatch("probe", "--tier", "judge", "--json")
    assert outcome.code == ExitCode.INCOMPLETE
    assert outcome.value["stopped"] == "budget_tokens"
    assert {"not_run"} <= {one["outcome"] for one in outcome.value["judged"]}


def test_how_the_judge_is_asked_is_configured(probed: Workspace, judge: JudgeServer) -> None:
    _with_judge(probed, judge, 'temperature = 0.7\ntop_p = 0.9\nanswer_format = "json_schema"')
    assert probed.ragwatch("probe", "--tier", "judge").code == ExitCode.DONE
    sent = judge.requests[0]
    assert (sent["temperature"], sent["top_p"], sent["response_format"]["type"]) == (0.7, 0.9, "json_schema")


def test_another_interpreter_runs_ragas(probed: Workspace, judge: JudgeServer) -> None:
    _with_judge(probed, judge, 'python = "ragas/bin/python"')
    missing = probed.ragwatch("probe", "--tier", "judge")
    assert missing.code == ExitCode.USAGE
    assert f"the interpreter {probed.folder / 'ragas/bin/python'} for RAGAS cannot be run" in missing.err
    probed.configure('python = "ragas/bin/python"', f'python = "{sys.executable}"')
    assert probed.ragwatch("probe", "--tier", "judge").code == ExitCode.DONE


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("temperature = 3", "less than or equal to 2"),
        ('answer_format = "xml"', "'json_object', 'json_schema' or 'text'"),
    ],
)
def test_a_judge_that_breaks_a_rule_is_named(probed: Workspace, judge: JudgeServer, line: str, rule: str) -> None:
    _with_judge(probed, judge, line)
    outcome = probed.ragwatch("probe", "--tier", "judge")
    assert outcome.code == ExitCode.USAGE
    assert rule in outcome.err


def test_no_judge_is_said(probed: Workspace) -> None:
    outcome = probed.ragwatch("probe", "--tier", "judge")
    assert outcome.code == ExitCode.USAGE
    assert "set judge.base_url and judge.model" in outcome.err
    assert probed.ragwatch("probe", "--tier", "slow").code == ExitCode.USAGE
