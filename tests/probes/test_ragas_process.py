"""The worker as a process: missing, mute, hanging, dying again and again. Each ends in words, never in a wait."""

import subprocess
import sys
import threading
import venv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragwatch.errors import ConfigError, MissingExtraError
from ragwatch.health.outcomes import Outcome
from ragwatch.probes import ragas_process
from ragwatch.probes.judge import JudgeSettings
from ragwatch.probes.ragas_adapter import Ragas, RagasSettings
from ragwatch.probes.ragas_metrics import judge_metrics
from ragwatch.probes.ragas_process import Worker, environment
from ragwatch.probes.ragas_run import MOST_RESTARTS
from ragwatch.probes.ragas_types import Judged, Reason, Sample
from tests.cli.daemons import PATIENCE_S, eventually

SAMPLES = [Sample(str(number), retrieved_ids=("1",), relevant_ids=("1",)) for number in range(3)]
READY = 'print(json.dumps({"ready": "0.0.1"}), flush=True)'
ANSWER = """
for line in sys.stdin:
    task = json.loads(line)["task"]
    print(json.dumps({"done": task, "value": VALUE, "reason": "", "detail": ""}), flush=True)
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real interpreter with nothing installed."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    return str(folder / "bin" / "python")


class Interpreters:
    """Makes stand-ins for an interpreter: they speak the worker's language and behave as the test says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, code: str) -> str:
        path = self.folder / "python"
        path.write_text(f"#!{sys.executable}\nimport json, os, pathlib, sys, time\n{code}\n", encoding="utf-8")
        path.chmod(0o755)
        return str(path)


@pytest.fixture
def interpreter(tmp_path: Path) -> Interpreters:
    return Interpreters(tmp_path)


def metrics(python: str, stall_s: float = 30.0, start_timeout_s: float = 30.0) -> list[Judged]:
    settings = RagasSettings(python=python, stall_s=stall_s, start_timeout_s=start_timeout_s)
    with Ragas(settings) as ragas:
        return ragas.retrieval_metrics(SAMPLES)


def counts(judged: list[Judged]) -> Counter[tuple[Outcome, Reason]]:
    return Counter((one.outcome, one.reason) for one in judged if one.metric.startswith("id_based"))


def test_without_the_extra_the_error_says_what_to_install(bare: str) -> None:
    with pytest.raises(MissingExtraError) as raised:
        metrics(bare)
    assert raised.value.fact == f"{bare} has no usable RAGAS: ModuleNotFoundError: No module named 'ragas'"
    assert raised.value.hint == "pip install 'ragwatchd[ragas]'"


def test_the_worker_cannot_reach_the_network(bare: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "ragas"
    package.mkdir()
    connect = "import socket\nsocket.create_connection(('127.0.0.1', 9))"
    (package / "__init__.py").write_text(connect, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(MissingExtraError, match="ConnectionRefusedError: this process has no business on the network"):
        metrics(bare)


def test_an_interpreter_that_is_none() -> None:
    with pytest.raises(ConfigError, match="the interpreter /nowhere/python for RAGAS cannot be run"):
        metrics("/nowhere/python")


def test_an_interpreter_that_ends_at_once_is_quoted(interpreter: Interpreters) -> None:
    python = interpreter("sys.exit('too old')")
    with pytest.raises(MissingExtraError, match="cannot run RAGAS: too old"):
        metrics(python)


def test_an_import_that_hangs_is_ended(interpreter: Interpreters) -> None:
    with pytest.raises(MissingExtraError, match=r"RAGAS did not load within 0\.5 s"):
        metrics(interpreter("time.sleep(60)"), start_timeout_s=0.5)


@pytest.mark.parametrize("value", [1.1, -0.5])
def test_a_score_out_of_range_is_none(value: float, interpreter: Interpreters) -> None:
    found = metrics(interpreter(READY + ANSWER.replace("VALUE", repr(value))))
    assert counts(found) == {(Outcome.JUDGE_ERROR, Reason.OUT_OF_RANGE): 6}


def test_rounding_is_no_violation(interpreter: Interpreters) -> None:
    found = metrics(interpreter(READY + ANSWER.replace("VALUE", "1.0000000002")))
    assert [one.value for one in found if one.metric.startswith("id_based")] == [1.0] * 6


def test_a_worker_that_hangs_is_ended_and_replaced(interpreter: Interpreters, tmp_path: Path) -> None:
    first = (
        f"mark = pathlib.Path({str(tmp_path / 'mark')!r})\nif not mark.exists():\n    mark.touch(); time.sleep(60)\n"
    )
    found = metrics(interpreter(READY + "\n" + first + ANSWER.replace("VALUE", "1.0")), stall_s=2.0)
    assert counts(found) == {(Outcome.JUDGE_ERROR, Reason.WORKER_STALLED): 1, (Outcome.OK, Reason.NONE): 5}


def test_a_worker_that_always_dies_is_given_up(interpreter: Interpreters) -> None:
    found = metrics(interpreter(READY + "\nsys.stdin.readline(); os._exit(3)"))
    assert counts(found) == {
        (Outcome.JUDGE_ERROR, Reason.WORKER_DIED): MOST_RESTARTS + 1,
        (Outcome.NOT_RUN, Reason.WORKER_DIED): 6 - MOST_RESTARTS - 1,
    }
    assert {one.detail for one in found if one.outcome is Outcome.JUDGE_ERROR} == {"the worker ended: exit status 3"}


def test_what_was_found_before_a_restart_failed_is_kept(interpreter: Interpreters, tmp_path: Path) -> None:
    mark = f"mark = pathlib.Path({str(tmp_path / 'mark')!r})\nif mark.exists():\n    sys.exit('gone')\nmark.touch()\n"
    once = ANSWER.replace("VALUE", "1.0") + "    if task == 4: os._exit(1)\n"
    found = metrics(interpreter(mark + READY + once))
    tally = counts(found)
    assert tally[Outcome.OK, Reason.NONE] >= 3
    assert tally[Outcome.NOT_RUN, Reason.WORKER_DIED] >= 1
    assert sum(tally.values()) == 6


ONCE = """
mark = pathlib.Path(__file__).with_name("mark")
if not mark.exists():
    mark.touch()
    {act}
    time.sleep(600)
"""


@pytest.mark.parametrize(
    ("act", "detail"),
    [
        ("os.close(1)", "the worker ended: it closed its output and went on"),
        ("print('Welcome!', flush=True)", "the worker ended: it printed what is no message"),
        ("print('[' * 100_000, flush=True)", "the worker ended: it printed what is no message"),
        ("print('[1]', flush=True)", "the worker ended: it printed what is no message"),
        ("print('{\"done\": 99}', flush=True)", "the worker sent what is no message"),
        ('print(\'{"done": 0, "reason": "?", "detail": ""}\', flush=True)', "the worker sent what is no message"),
        ('print(\'{"task": 0, "prompt": ""}\', flush=True)', "the worker sent what is no message"),
    ],
)
def test_a_worker_that_talks_nonsense_and_lives_on_is_ended_and_replaced(
    act: str, detail: str, interpreter: Interpreters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ragas_process, "_GRACE_S", 0.3)
    found = metrics(interpreter(READY + "\n" + ONCE.format(act=act) + ANSWER.replace("VALUE", "1.0")))
    assert counts(found) == {(Outcome.JUDGE_ERROR, Reason.WORKER_DIED): 1, (Outcome.OK, Reason.NONE): 5}
    assert [one.detail for one in found if one.outcome is Outcome.JUDGE_ERROR] == [detail]


def test_a_late_word_on_a_call_of_an_earlier_run_is_no_nonsense(interpreter: Interpreters) -> None:
    late = 'print(json.dumps({"accepted": 7}), flush=True)\n'
    assert counts(metrics(interpreter(READY + "\n" + late + ANSWER.replace("VALUE", "1.0")))) == {
        (Outcome.OK, Reason.NONE): 6
    }


def test_a_banner_before_the_first_message_is_passed_over(interpreter: Interpreters) -> None:
    banner = "print('Welcome!\\n{}', flush=True)\n"
    assert counts(metrics(interpreter(banner + READY + ANSWER.replace("VALUE", "1.0")))) == {
        (Outcome.OK, Reason.NONE): 6
    }


def test_a_worker_that_closes_its_output_at_once_and_lives_on_is_ended(
    interpreter: Interpreters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ragas_process, "_GRACE_S", 0.3)
    with pytest.raises(MissingExtraError, match="cannot run RAGAS: it closed its output and went on"):
        metrics(interpreter("os.close(1); time.sleep(600)"))
    with pytest.raises(MissingExtraError, match="cannot run RAGAS: too old"):
        metrics(interpreter("print('too old', file=sys.stderr, flush=True); os.close(1); time.sleep(600)"))


def test_a_line_without_end_is_no_message(interpreter: Interpreters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ragas_process, "LONGEST_LINE", 100_000)
    act = "sys.stdout.write('x' * 1_000_000); sys.stdout.flush()"
    found = metrics(interpreter(READY + "\n" + ONCE.format(act=act) + ANSWER.replace("VALUE", "1.0")))
    assert counts(found) == {(Outcome.JUDGE_ERROR, Reason.WORKER_DIED): 1, (Outcome.OK, Reason.NONE): 5}


LARGE = Sample("large", retrieved_ids=tuple(f"{number:0100d}" for number in range(20_000)), relevant_ids=("1",))
"""Larger than any pipe."""


def test_a_worker_that_does_not_read_is_ended(interpreter: Interpreters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ragas_process, "_GRACE_S", 0.3)
    settings = RagasSettings(python=interpreter(READY + "\ntime.sleep(600)"), stall_s=1.0, start_timeout_s=60.0)
    with Ragas(settings) as ragas:
        found = ragas.retrieval_metrics([LARGE])
    assert counts(found) == {(Outcome.JUDGE_ERROR, Reason.WORKER_STALLED): 2}


@pytest.mark.parametrize("at_once", [True, False])
def test_the_end_does_not_wait_for_what_was_not_read(
    at_once: bool, interpreter: Interpreters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ragas_process, "_GRACE_S", 0.3)
    before = threading.enumerate()
    worker = Worker(interpreter(READY + "\ntime.sleep(600)"), 60.0)
    for _ in range(20):
        worker.send({"text": "x" * 1_000_000})
    worker.end(at_once=at_once)
    worker.end()
    assert not worker.alive
    assert not [thread.name for thread in threading.enumerate() if thread not in before]


@pytest.mark.parametrize("left", ["", " &\nexit 3"])
def test_an_interpreter_behind_a_wrapper_is_ended_with_it(
    left: str, interpreter: Interpreters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wrapper waits for the real one, or has ended before it."""
    monkeypatch.setattr(ragas_process, "_GRACE_S", 0.3)
    inner = interpreter(
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n{READY}\ntime.sleep(600)"
    )
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\n"{inner}" "$@"{left}\n', encoding="utf-8")
    wrapper.chmod(0o755)
    with Ragas(RagasSettings(python=str(wrapper), stall_s=1.0, start_timeout_s=60.0)) as ragas:
        assert counts(ragas.retrieval_metrics(SAMPLES[:1])) == {(Outcome.JUDGE_ERROR, Reason.WORKER_STALLED): 2}
    eventually(lambda: not lives(int((tmp_path / "pid").read_text())), "the interpreter is gone")


def lives(pid: int) -> bool:
    """Say whether a process runs; one that is dead and that nobody has asked about yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_a_worker_whose_parent_is_gone_ends_though_it_computes(bare: str, tmp_path: Path) -> None:
    package = tmp_path / "ragas"
    package.mkdir()
    (package / "__init__.py").write_text("print(1, flush=True)\nwhile True: pass", encoding="utf-8")
    script = Path(__file__).parents[2] / "ragwatch" / "probes" / "ragas_worker.py"
    command = [bare, "-P", str(script)]
    with subprocess.Popen(
        command, env={"PYTHONPATH": str(tmp_path)}, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as worker:
        try:
            assert worker.stdin
            assert worker.stderr
            assert worker.stderr.readline() == b"1\n"
            worker.stdin.close()
            assert worker.wait(PATIENCE_S) == 1
        finally:
            worker.kill()


def test_closing_ends_the_process_and_a_later_call_starts_another(interpreter: Interpreters) -> None:
    ragas = Ragas(RagasSettings(python=interpreter(READY + ANSWER.replace("VALUE", "1.0"))))
    pids = []
    for _ in range(2):
        ragas.retrieval_metrics(SAMPLES)
        pids.append(ragas.pid)
        ragas.close()
        ragas.close()
        pids.append(ragas.pid)
    assert pids[1::2] == [None, None]
    assert None not in pids[::2]
    assert pids[0] != pids[2]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_nothing_is_started_for_samples_without_anything_to_ask(interpreter: Interpreters) -> None:
    with Ragas(RagasSettings(python=interpreter("sys.exit(1)"))) as ragas:
        assert [one.outcome for one in ragas.retrieval_metrics([Sample("a")])] == [Outcome.NOT_RUN] * 4
        assert ragas.pid is None


def test_what_the_worker_prints_is_not_taken_for_an_answer(bare: str, tmp_path: Path) -> None:
    """Libraries print to stdout; the worker's own stdout is moved out of their way."""
    package = tmp_path / "ragas"
    package.mkdir()
    (package / "__init__.py").write_text('print(\'{"ready": "of a library"}\')', encoding="utf-8")
    script = Path(__file__).parents[2] / "ragwatch" / "probes" / "ragas_worker.py"
    done = subprocess.run(
        [bare, "-P", str(script)], env={"PYTHONPATH": str(tmp_path)}, input=b"", capture_output=True, check=True
    )
    assert b"of a library" not in done.stdout
    assert b"of a library" in done.stderr


def test_the_environment_loses_what_may_be_a_secret() -> None:
    outer = {"PATH": "/bin", "OPENAI_API_KEY": "k", "HF_TOKEN": "t", "DATABASE_URL": "u", "https_proxy": "p"}
    kept = environment(outer)
    assert {name for name in outer if name in kept} == {"PATH"}
    assert kept["RAGAS_DO_NOT_TRACK"] == "true"


@pytest.fixture
def judge() -> Iterator[Ragas]:
    with Ragas(RagasSettings(judge=JudgeSettings("http://127.0.0.1:9/v1", "m"), python="/nowhere")) as ragas:
        yield ragas


def test_an_unknown_metric_is_refused_before_anything_starts(judge: Ragas) -> None:
    with pytest.raises(ConfigError, match="'context_recal' is no judge metric") as raised:
        judge.judge(SAMPLES, ["context_recal"])
    assert raised.value.hint == 'did you mean "context_recall"?'
    with pytest.raises(ConfigError) as raised:
        judge_metrics(["zzz"], embeddings=False)
    assert raised.value.hint.startswith("there are: context_recall, ")


def test_a_metric_that_needs_an_encoder_is_refused_without_one(judge: Ragas) -> None:
    with pytest.raises(ConfigError, match="metric answer_relevancy needs an encoder"):
        judge.judge(SAMPLES, ["answer_relevancy"])


def test_a_sample_that_comes_twice_is_refused(judge: Ragas) -> None:
    with pytest.raises(ConfigError, match="sample '0' comes twice"):
        judge.judge([*SAMPLES, SAMPLES[0]])


def test_without_a_judge_there_is_none() -> None:
    with pytest.raises(ConfigError, match="no judge is configured"):
        Ragas(RagasSettings()).judge(SAMPLES)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base_url": "localhost"}, "judge base_url is not an http or https address"),
        ({"api_key": "ключ"}, "holds characters that an HTTP header cannot carry"),
        ({"repeats": 0}, "judge repeats = 0: must be above 0"),
        ({"budget_tokens": 0}, "judge budget_tokens = 0: must be above 0"),
        ({"budget": 1.0}, "judge budget needs price_per_million_tokens"),
    ],
)
def test_settings_that_break_a_rule(change: dict[str, object], words: str) -> None:
    values: dict[str, object] = {"base_url": "http://127.0.0.1:9/v1", "model": "m", **change}
    with pytest.raises(ConfigError, match=words):
        JudgeSettings(**values)  # type: ignore[arg-type]
