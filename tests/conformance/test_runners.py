"""Programs that answer the cases: what they may do, and what becomes of it."""

import errno
import resource
import signal
import sys
import tempfile
from pathlib import Path
from time import monotonic

import pytest

from rnncli.conformance.oracle import KitCase, list_cases
from rnncli.conformance.runners import Answer, run_implementation, run_program
from rnncli.conformance.verdicts import Failure, judge
from rnncli.errors import Message, UsageError

CASES = {case.name: case for case in list_cases()}
PART = [case for case in CASES.values() if case.attribute in ("reverse", "length_0", "empty_batch")]
NAMES = sorted(case.name for case in PART)
WITH_KIT = """
import os, shutil, signal, sys, time
from pathlib import Path

kit, results = map(Path, sys.argv[1:3])
paths = {path.parent.name: path.parent for path in kit.rglob("model.onnx")}
for name in ORDER:
    ACTION
    if not (results / f"{name}.txt").exists():
        shutil.copy(paths[name] / "outputs.npz", results / "part")
        os.rename(results / "part", results / f"{name}.npz")
"""
"""A program that gives the right answers, which the kit has, but for what ACTION does."""


def program(folder: Path, action: str, order: str = "sorted(paths)") -> str:
    (folder / "program.py").write_text(WITH_KIT.replace("ACTION", action).replace("ORDER", order))
    return f"{sys.executable} {folder / 'program.py'} {{kit}} {{results}}"


def verdicts(answers: dict[str, Answer]) -> dict[str, str]:
    """Return the verdicts that are not right, nor unclear."""
    judged = {name: judge(CASES[name], answer).verdict for name, answer in answers.items()}
    return {name: verdict for name, verdict in judged.items() if verdict not in ("right", "unclear")}


def run(command: str, cases: list[KitCase] = PART, seconds: float = 20) -> dict[str, Answer]:
    return {case.name: answer for case, answer in run_program(command, cases, seconds)}


def test_a_program_that_takes_all_cases_answers_all(tmp_path: Path) -> None:
    answers = run(program(tmp_path, "pass"))
    assert sorted(answers) == NAMES
    assert verdicts(answers) == {}


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGFPE"])
def test_a_crash_is_the_first_case_without_an_answer_and_the_rest_goes_on(tmp_path: Path, name: str) -> None:
    action = f"name == 'gru_reverse' and os.kill(os.getpid(), signal.{name})"
    answers = run(program(tmp_path, action))
    assert sorted(answers) == NAMES
    assert answers["gru_reverse"] == Failure("crashed", name)
    assert verdicts(answers) == {"gru_reverse": "crashed"}


@pytest.mark.slow
def test_the_order_of_paths_is_an_order_too(tmp_path: Path) -> None:
    """In it, the cases that are open come later than those of their operator."""
    action = "name in ('lstm_reverse', 'rnn_no_sequences') and os.abort()"
    answers = run(program(tmp_path, action, "sorted(paths, key=paths.get)"))
    assert verdicts(answers) == {"lstm_reverse": "crashed", "rnn_no_sequences": "crashed"}


@pytest.mark.slow
def test_an_exit_with_an_error_is_a_crash_that_says_its_last_line(tmp_path: Path) -> None:
    answers = run(program(tmp_path, "name == 'gru_reverse' and sys.exit('\\033[31mno GRU\\033[m\\n')"))
    assert answers["gru_reverse"] == Failure("crashed", "exit code 1: no GRU")
    assert verdicts(answers) == {"gru_reverse": "crashed"}


def test_a_program_that_takes_its_files_away_answers_the_rest(tmp_path: Path) -> None:
    first = min(NAMES)  # no answer before it, which would be lost if nobody had read it yet
    action = f"name == '{first}' and (shutil.rmtree(kit), shutil.rmtree(results), sys.exit(4))"
    answers = run(program(tmp_path, action))
    assert answers[first] == Failure("crashed", Message("exit code {code}", code=4))
    assert verdicts(answers) == {first: "crashed"}


@pytest.mark.slow
def test_silence_is_no_refusal(tmp_path: Path) -> None:
    answers = run(program(tmp_path, "name == 'lstm_reverse' and time.sleep(60)"), seconds=1.5)
    assert verdicts(answers) == {"lstm_reverse": "timed out"}


def test_what_a_program_leaves_out_or_explains_is_refused(tmp_path: Path) -> None:
    refuses = "name == 'gru_reverse' and (results / f'{name}.txt').write_text('no GRU')"
    answers = run(program(tmp_path, f"{refuses}; name[0] == 'r' and sys.exit(0)"))
    assert answers["gru_reverse"] == Failure("refused", "no GRU")
    rest = {name: "refused" for name in NAMES if name.startswith("rnn")}
    assert verdicts(answers) == {"gru_reverse": "refused", **rest}


@pytest.mark.slow
def test_a_program_for_each_case(tmp_path: Path) -> None:
    script = tmp_path / "each.py"
    script.write_text(
        "import os, shutil, sys, time\n"
        "model, inputs, outputs = sys.argv[1:]\n"
        "assert os.path.dirname(model) == os.path.dirname(inputs)\n"
        "if 'rnn_reverse/' in model: sys.exit('no RNN')\n"
        "if 'gru_reverse/' in model: os.abort()\n"
        "if 'lstm_reverse/' in model: time.sleep(60)\n"
        "if 'rnn_reverse_initial' in model: sys.exit(0)\n"
        "if 'gru_reverse_initial' in model: sys.exit(3)\n"
        "if 'lstm_reverse_initial' in model: sys.exit(os.mkdir(outputs))\n"
        "shutil.copy(os.path.join(os.path.dirname(model), 'outputs.npz'), outputs)\n"
    )
    cases = [case for case in PART if case.attribute != "length_0"]
    answers = run(f"{sys.executable} {script} {{model}} {{inputs}} {{outputs}}", cases, 1.5)
    assert answers.keys() == {case.name for case in cases}
    assert answers["rnn_reverse"] == Failure("refused", "no RNN")
    assert answers["rnn_reverse_initial"] == Failure("refused", "It wrote no outputs.")
    assert answers["gru_reverse"] == Failure("crashed", signal.SIGABRT.name)
    assert answers["lstm_reverse"] == Failure("timed out")
    assert answers["gru_reverse_initial"] == Failure("refused", Message("exit code {code}", code=3))
    others = {name: answer for name, answer in answers.items() if "reverse" not in name}
    assert verdicts(others) == {}
    assert verdicts(answers)["lstm_reverse_initial"] == "refused"


@pytest.mark.parametrize(
    "command", ["run {model}", "run", "run {kit}", "run 'x {kit} {results}", "/no/such {kit} {results}"]
)
def test_a_command_that_cannot_run_is_refused(command: str) -> None:
    with pytest.raises(UsageError):
        run(command)


@pytest.mark.slow
def test_what_is_written_to_stderr_fills_neither_the_disk_nor_the_memory(tmp_path: Path) -> None:
    """400 MB come, the last line is kept, and the largest share of them is never in memory at once."""
    action = (
        "name == 'gru_reverse' and ("
        "[os.write(2, b'x' * 999_999 + b'\\n') for _ in range(400)], sys.exit('no GRU'))"
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert run(program(tmp_path, action))["gru_reverse"] == Failure("crashed", "exit code 1: no GRU")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


@pytest.mark.parametrize(
    ("action", "verdict"),
    [("os.closerange(2, 3)", {}),
     ("name == 'gru_reverse' and (os.closerange(2, 3), time.sleep(60))", {"gru_reverse": "timed out"}),
     ("name == 'gru_reverse' and [os.write(2, b'more') for _ in iter(int, 1)]", {"gru_reverse": "timed out"}),
     ("name == 'gru_reverse' and (results / f'{name}.txt').mkdir()", {"gru_reverse": "refused"}),
     ("name == 'gru_reverse' and os.mkfifo(results / f'{name}.txt')", {"gru_reverse": "refused"}),
     ("name == 'gru_reverse' and (results / f'{name}.txt').symlink_to('/dev/zero')",
      {"gru_reverse": "refused"}),
     ("name == 'gru_reverse' and os.truncate(os.open(results / f'{name}.txt', os.O_CREAT | 1), 2**29)",
      {"gru_reverse": "refused"})],
    ids=["closed", "closed and silent", "endless", "folder", "pipe", "device", "sparse"],
)  # fmt: skip
@pytest.mark.slow
def test_a_hostile_program_has_its_verdict_in_time_and_the_rest_goes_on(
    tmp_path: Path, action: str, verdict: dict[str, str]
) -> None:
    answers = run(program(tmp_path, action), seconds=1.5)
    assert sorted(answers) == NAMES
    assert verdicts(answers) == verdict


def test_a_process_that_goes_on_in_the_background_delays_nothing(tmp_path: Path) -> None:
    """It holds stderr of the program, which has ended."""
    script = "cp $(dirname {model})/outputs.npz {outputs}; : {inputs}; sleep 60 &"
    started = monotonic()
    assert verdicts(run(f"sh -c '{script}'", PART[:2], 30)) == {}
    assert monotonic() - started < 30


def test_a_temporary_folder_without_room_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(path: Path, _: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(UsageError, match=r"No space left on device.*\n.*TMPDIR"):
        run("true {kit} {results}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_onnx_runtime_in_a_process_of_its_own() -> None:
    """An empty batch ends its process."""
    cases = [case for case in PART if case.attribute != "length_0"]
    answers = {case.name: answer for case, answer in run_implementation("onnxruntime", cases, 60)}
    assert answers.keys() == {case.name for case in cases}
    assert set(verdicts(answers).values()) <= {"crashed", "refused"}
    assert not any("reverse" in name for name in verdicts(answers))


@pytest.mark.slow
def test_rnncli_is_right_in_every_case() -> None:
    answers = {case.name: answer for case, answer in run_implementation("rnncli", list(CASES.values()), 60)}
    judgements = {name: judge(CASES[name], answer) for name, answer in answers.items()}
    assert {
        name: str(item.reason)
        for name, item in judgements.items()
        if item.verdict not in ("right", "unclear")
    } == {}
    assert {name for name, item in judgements.items() if item.verdict == "unclear"} == {
        case.name for case in CASES.values() if case.is_open
    }
