"""Files that a program left: what is taken from them, and what is refused."""

import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from command import Run
from limits import processor_time

from rnncli.conformance.oracle import compute, list_cases
from rnncli.conformance.runners import LONGEST, MOST, Answer, read_results
from rnncli.conformance.verdicts import Failure, judge

CASES = {case.name: case for case in list_cases()}
RIGHT = compute(CASES["lstm_forward"])


def verdicts(answers: dict[str, Answer]) -> dict[str, str]:
    """Return the verdicts that are not right, nor unclear."""
    judged = {name: judge(CASES[name], answer).verdict for name, answer in answers.items()}
    return {name: verdict for name, verdict in judged.items() if verdict not in ("right", "unclear")}


def test_a_folder_of_results(tmp_path: Path) -> None:
    np.savez(tmp_path / "lstm_forward.npz", np.zeros((5, 1, 3, 4), "float32"))
    (tmp_path / "gru_forward.npz").write_bytes(b"PK broken")
    (tmp_path / "rnn_forward.txt").write_text("not\nyet\n")
    answers = {case.name: answer for case, answer in read_results(tmp_path, list(CASES.values()))}
    assert answers.keys() == {"lstm_forward", "gru_forward", "rnn_forward"}
    assert answers["rnn_forward"] == Failure("refused", "not yet")
    assert verdicts(answers) == dict.fromkeys(answers, "refused")


def npz_of(header: str, *, flags: int = 0) -> bytes:
    """Return an archive with Y of this header, and no numbers."""
    text = f"{header:<117}\n".encode()
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr("Y.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    content = bytearray(packed.getvalue())
    content[6] |= flags
    content[content.index(b"PK\x01\x02") + 8] |= flags
    return bytes(content)


def npy() -> bytes:
    single = BytesIO()
    np.save(single, np.zeros((5, 1, 3, 4), "float32"))
    return single.getvalue()


def zipped_text() -> bytes:
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr("Y", "1 2 3")
    return packed.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"PK\x03\x04", npy(), pickle.dumps({"Y": 1}), zipped_text(),
        npz_of("{'descr': '<f4', 'fortran_order': (((("),
        npz_of("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 10)}"),
        npz_of("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", flags=1),  # encrypted
    ],
    ids=["empty", "half", "npy", "pickle", "text", "header", "memory", "encrypted"],
)  # fmt: skip
def test_an_unreadable_file_is_a_refusal_and_the_others_are_judged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lstm_forward.npz").write_bytes(content)
    np.savez(tmp_path / "gru_forward.npz", **compute(CASES["gru_forward"]))  # type: ignore[arg-type]
    answers = {case.name: answer for case, answer in read_results(tmp_path, list(CASES.values()))}
    assert verdicts(answers) == {"lstm_forward": "refused"}
    assert answers.keys() == {"lstm_forward", "gru_forward"}


def test_objects_in_a_file_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "lstm_forward.npz", Y=np.array([{}], dtype=object))
    ((_, answer),) = read_results(tmp_path, [CASES["lstm_forward"]])
    assert isinstance(answer, Failure)


def pack(arrays: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive of these entries."""
    packed = BytesIO()
    with ZipFile(packed, "w", method) as archive:
        for name, content in arrays.items():
            archive.writestr(name, content)
    return packed.getvalue()


def array_of(array: np.ndarray) -> bytes:
    file = BytesIO()
    np.save(file, array)
    return file.getvalue()


def write_right(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, **RIGHT)  # type: ignore[arg-type]


def write_bomb(path: Path) -> None:
    zeros = array_of(np.zeros(2**21, "float32"))
    path.write_bytes(pack(dict.fromkeys(("Y.npy", "Y_h.npy", "Y_c.npy"), zeros), zipfile.ZIP_DEFLATED))


def write_many(path: Path) -> None:
    path.write_bytes(pack({f"n{index}.npy": b"" for index in range(8000)}))


def write_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def link_out(path: Path) -> None:
    outside = path.parent.parent / "outside.npz"
    write_right(outside)
    path.symlink_to(outside)


def link_out_through_a_folder(path: Path) -> None:
    write_right(path.parent.parent / "outside.npz")
    (path.parent / "folder").symlink_to(path.parent.parent)
    path.symlink_to("folder/outside.npz")


LOOP = "Too many levels of symbolic links" if sys.version_info >= (3, 13) else "Symlink loop"
HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (os.mkfifo, "it is not a regular file"),
    "a folder": (Path.mkdir, "it is not a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "it is a link out of its folder"),
    "a link out": (link_out, "it is a link out of its folder"),
    "a link through a link": (link_out_through_a_folder, "it is a link out of its folder"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "No such file or directory"),
    "a link to itself": (lambda path: path.symlink_to(path.name), LOOP),
    "a bomb": (write_bomb, "it would expand from 24 KiB to 24 MiB"),
    "many arrays": (write_many, "it has 8000 arrays, but not Y, Y_h, Y_c"),
    "a sparse file": (write_sparse, "it has 1.0 TiB, and the outputs of a case at most 1.0 MiB"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_no_program_should_leave_is_refused_with_the_reason(kind: str, tmp_path: Path) -> None:
    """At once, and the others are judged."""
    make, reason = HOSTILE[kind]
    folder = tmp_path / "results"
    folder.mkdir()
    make(folder / "lstm_forward.npz")
    np.savez(folder / "gru_forward.npz", **compute(CASES["gru_forward"]))  # type: ignore[arg-type]
    with processor_time(5):
        answers = {case.name: answer for case, answer in read_results(folder, list(CASES.values()))}
    assert verdicts(answers) == {"lstm_forward": "refused"}
    failure = answers["lstm_forward"]
    assert isinstance(failure, Failure)
    assert reason in str(failure.reason)
    assert len(str(failure.reason)) < 200


@pytest.mark.parametrize(
    "kind", [kind for kind in HOSTILE if kind not in ("a bomb", "many arrays", "a sparse file")]
)
def test_a_reason_is_read_from_a_regular_file_alone(kind: str, tmp_path: Path) -> None:
    make, reason = HOSTILE[kind]
    folder = tmp_path / "results"
    folder.mkdir()
    make(folder / "lstm_forward.txt")
    ((_, failure),) = read_results(folder, [CASES["lstm_forward"]])
    assert isinstance(failure, Failure)
    assert reason in str(failure.reason)


def test_a_link_that_stays_in_the_folder_is_read(tmp_path: Path) -> None:
    write_right(tmp_path / "mine.npz")
    (tmp_path / "lstm_forward.npz").symlink_to("mine.npz")
    ((case, answer),) = read_results(tmp_path, [CASES["lstm_forward"]])
    assert judge(case, answer).verdict == "right"


def test_the_folder_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    write_right(tmp_path / "results" / "lstm_forward.npz")
    (tmp_path / "link").symlink_to("results")
    ((case, answer),) = read_results(tmp_path / "link", [CASES["lstm_forward"]])
    assert judge(case, answer).verdict == "right"


def test_only_the_outputs_of_the_case_are_read(tmp_path: Path) -> None:
    """Whatever stands beside them: thousands of arrays, or one that is too large."""
    right = {f"{name}.npy": array_of(array) for name, array in RIGHT.items()}
    beside = {"bomb.npy": bytes(10 * MOST)} | {f"n{index}.npy": b"" for index in range(5000)}
    (tmp_path / "lstm_forward.npz").write_bytes(pack(right | beside, zipfile.ZIP_DEFLATED))
    ((case, answer),) = read_results(tmp_path, [CASES["lstm_forward"]])
    assert judge(case, answer).verdict == "right"
    assert not isinstance(answer, Failure)
    assert answer.keys() == RIGHT.keys()


def test_of_a_long_reason_the_end_is_read(tmp_path: Path) -> None:
    (tmp_path / "lstm_forward.txt").write_bytes(b"\0" * 10**7 + "길이 ".encode() * 10**5 + b"no LSTM.")
    ((_, failure),) = read_results(tmp_path, [CASES["lstm_forward"]])
    assert isinstance(failure, Failure)
    assert str(failure.reason).endswith("길이 no LSTM")
    assert len(str(failure.reason)) == LONGEST


def test_a_long_name_of_an_array_is_shown_in_part(tmp_path: Path) -> None:
    np.savez(tmp_path / "lstm_forward.npz", **{"n" * 60000: np.zeros(1)})  # type: ignore[arg-type]
    ((case, answer),) = read_results(tmp_path, [CASES["lstm_forward"]])
    assert len(str(judge(case, answer).reason)) < 200


def test_a_folder_of_pipes_is_answered_at_once(rnncli: Run, tmp_path: Path) -> None:
    for name in CASES:
        os.mkfifo(tmp_path / f"{name}.npz")
    with processor_time(20):
        done = rnncli("conformance", "--results", str(tmp_path))
    assert done.returncode == 3
    assert "Its outputs cannot be read: it is not a regular file." in done.stderr
