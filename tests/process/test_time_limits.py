"""Work in a thread has its seconds of processor time, however busy the machine is."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from rnncli.process import child_process
from rnncli.process.child_process import result_in_time

SECONDS, PATIENCE = 1e-3, 4


class Clocks:
    """Each look at the clock of the wall is a limit later; the processor works a share of that time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
        self.looks, self.share, self.future = 0, share, Future[str]()
        self.done_after = 0
        monkeypatch.setattr(child_process, "PATIENCE", PATIENCE)
        monkeypatch.setattr(child_process, "monotonic", self.wall)
        monkeypatch.setattr(child_process, "process_time", lambda: self.looks * SECONDS * share)

    def wall(self) -> float:
        self.looks += 1
        if self.looks == self.done_after:
            self.future.set_result("done")
        return self.looks * SECONDS


def test_work_that_waits_for_a_busy_machine_has_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch, 0.1)
    clocks.done_after = PATIENCE
    assert result_in_time(clocks.future, SECONDS) == "done"


@pytest.mark.parametrize(("share", "limits"), [(2.0, 2), (0.1, PATIENCE + 2)])
def test_work_without_an_end_is_given_up(share: float, limits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch, share)
    with pytest.raises(TimeoutError):
        result_in_time(clocks.future, SECONDS)
    assert clocks.looks == limits
