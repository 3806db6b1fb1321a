"""`freshness`, `policy`, and the job that repairs by policy, on a real folder with an embedded index."""

import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from ragwatch.app import load, open_pipeline
from ragwatch.app.freshness import objectives_of
from ragwatch.app.repair import run_policy
from ragwatch.errors import ConfigError, ExitCode
from ragwatch.jobs import shipped_folder
from ragwatch.watching.freshness import follow
from ragwatch.wiring import make_state
from tests.cli.conftest import Workspace


@pytest.fixture
def edited(indexed: Workspace) -> Workspace:
    """Indexed, with the shipped jobs, and one document added since."""
    shutil.copytree(shipped_folder("jobs"), indexed.folder / "jobs")
    indexed.write("new.md", "# New\n\nText.\n")
    return indexed


def set_policy(workspace: Workspace, text: str) -> None:
    workspace.configure("[encoder]", f"{text}\n\n[encoder]")


def test_the_job_proposes_by_default_and_the_command_that_it_shows_works(edited: Workspace) -> None:
    assert edited.ragwatch("job", "run", "reindex").code == ExitCode.FINDINGS
    shown = edited.ragwatch("policy")
    assert shown.code == ExitCode.DONE
    assert "PROPOSE  collection docs: jobs propose repairs, people make them" in shown.out
    command = edited.ragwatch("policy", "--json").value["last_decision"]["summary"]
    assert command["decision"] == "proposed"
    digest = command["plan_digest"][:12]
    assert f"ragwatch reindex --digest {digest}" in " ".join(shown.out.split())
    assert edited.ragwatch("scan").code == ExitCode.FINDINGS
    assert edited.ragwatch("reindex", "--digest", digest).code == ExitCode.DONE
    assert edited.ragwatch("scan").code == ExitCode.DONE
    assert "; repaired since" in " ".join(edited.ragwatch("policy").out.split())
    assert edited.ragwatch("job", "run", "reindex").code == ExitCode.DONE


def test_a_proposal_that_no_longer_holds_is_refused(edited: Workspace) -> None:
    edited.ragwatch("job", "run", "reindex")
    digest = edited.ragwatch("policy", "--json").value["last_decision"]["summary"]["plan_digest"]
    edited.write("another.md", "# Another\n\nText.\n")
    assert edited.ragwatch("reindex", "--digest", digest[:12]).code == ExitCode.REFUSED


def test_an_unknown_digest_is_not_found(edited: Workspace) -> None:
    outcome = edited.ragwatch("reindex", "--digest", "ffff")
    assert outcome.code == ExitCode.NOT_FOUND
    assert "'ffff'" in outcome.err
    assert edited.ragwatch("reindex", "--digest", "").code == ExitCode.NOT_FOUND
    assert edited.ragwatch("reindex", "--digest", "ffff", "--resume").code == ExitCode.USAGE


def test_the_job_repairs_small_differences_where_it_may(edited: Workspace) -> None:
    set_policy(edited, '[policy]\nlevel = "small"\nmax_share = 0.5')
    assert edited.ragwatch("job", "run", "reindex").code == ExitCode.DONE
    assert edited.ragwatch("scan").code == ExitCode.DONE
    runs = edited.ragwatch("history", "--json").value["runs"]
    assert [run["summary"].get("by") for run in runs if run["verb"] == "reindex"] == ["policy", None]
    assert "repair, level small" in edited.ragwatch("history").out


def test_without_changes_and_objectives_freshness_says_so(indexed: Workspace) -> None:
    outcome = indexed.ragwatch("freshness")
    assert outcome.code == ExitCode.DONE
    assert "No change of a document has been followed yet" in outcome.out


def test_an_objective_without_changes_is_not_kept(indexed: Workspace) -> None:
    set_policy(indexed, '[[objectives]]\nedit = "1h"')
    outcome = indexed.ragwatch("freshness", "--json")
    assert outcome.code == ExitCode.INCOMPLETE
    assert [one["standing"] for one in outcome.value["freshness"]] == ["not_enough"]


def test_a_late_change_is_shown_with_its_numbers(edited: Workspace) -> None:
    set_policy(edited, '[[objectives]]\naddition = "15m"')
    edited.ragwatch("scan")
    settings = load(edited.config)
    ledger = make_state(settings.config, settings.base)
    run = ledger.runs(verb="scan", limit=1)[0]
    follow(ledger, run, ledger.findings(run.id), previous=datetime.now(UTC) - timedelta(hours=3))
    ledger.close()
    outcome = edited.ragwatch("freshness")
    assert outcome.code == ExitCode.FINDINGS
    assert "AT RISK" in outcome.out
    assert "1 (1 late)" in outcome.out


def test_objectives_hold_for_every_source_unless_it_has_its_own(workspace: Workspace) -> None:
    general = '[[objectives]]\nedit = "1h"\ndeletion = "15m"'
    own = '[[objectives]]\nsource = "docs"\ndeletion = "5m"\ntarget = 0.9'
    set_policy(workspace, f"{general}\n\n{own}")
    found = objectives_of(load(workspace.config).config)
    assert [(one.change, one.within_s, one.target) for one in found] == [
        ("edit", 3600.0, 0.99),
        ("deletion", 300.0, 0.9),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[objectives]]\nsource = "wiki"\nedit = "1h"', "there is no source 'wiki'; there are: docs"),
        ('[[objectives]]\nedit = "1h"\n\n[[objectives]]\nedit = "2h"', "two of them say edit for source any"),
    ],
)
def test_an_objective_that_cannot_hold_is_refused(workspace: Workspace, text: str, said: str) -> None:
    set_policy(workspace, text)
    with pytest.raises(ConfigError, match=said):
        load(workspace.config)


def test_a_late_change_becomes_an_incident(edited: Workspace) -> None:
    set_policy(edited, '[[objectives]]\naddition = "15m"')
    edited.ragwatch("scan")
    settings = load(edited.config)
    with closing(make_state(settings.config, settings.base)) as ledger:
        run = ledger.runs(verb="scan", limit=1)[0]
        # The last comparison before it was three hours ago.
        follow(ledger, run, ledger.findings(run.id), previous=datetime.now(UTC) - timedelta(hours=3))
    causes = [one["cause"] for one in edited.ragwatch("incidents", "--json").value["incidents"]]
    assert "objective_at_risk" in causes


def test_a_change_that_is_repaired_is_followed_to_its_end(edited: Workspace) -> None:
    edited.ragwatch("scan")
    (pending,) = edited.ragwatch("freshness", "--json").value["freshness"]
    assert (pending["change"], pending["pending"], pending["changes"]) == ("addition", 1, 0)
    edited.ragwatch("reindex", "--yes")
    (visible,) = edited.ragwatch("freshness", "--json").value["freshness"]
    assert (visible["pending"], visible["changes"]) == (0, 1)


def test_a_proposal_is_queued_for_every_channel_that_wants_it(
    edited: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_URL", "http://127.0.0.1:9/")
    channel = '[[alerts.channels]]\nname = "{}"\nkind = "webhook"\nurl_env = "OPS_URL"\n{}'
    set_policy(edited, channel.format("ops", "") + "\n" + channel.format("errors", 'severity = "error"'))
    settings = load(edited.config)
    for _ in range(2):
        with open_pipeline(settings.path, settings=settings, writing=True) as pipeline:
            report = run_policy(pipeline, settings)
    with closing(make_state(settings.config, settings.base)) as ledger:
        (message,) = ledger.messages(collection="docs")
    assert (message.channel, str(message.event)) == ("ops", "proposed")
    assert message.notice.command == f"ragwatch reindex --digest {report.plan.digest[:12]}"
