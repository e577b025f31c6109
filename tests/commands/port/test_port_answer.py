"""How port's answers look: golden files in every format."""

import os
import re

import pytest
from looks import SUFFIXES, check_looks, round_digits
from plant import Kind, plant
from port_runs import run_of

from rnncli.commands.port.answer import PortAnswer, assess, write_probe
from rnncli.commands.port.search import search


def answer(kind: Kind, *names: str, alike: bool = False, constant: bool = False) -> PortAnswer:
    """Return the answer to what was planted.  alike: several explanations fit."""
    planted = plant(kind, names)
    rounded = {name: array.astype("float32") for name, array in planted.expected.items()}
    planted = planted._replace(expected=rounded)
    for name in ("kernel", "bias") if alike else ():
        planted.weights[name][..., 3:6] = planted.weights[name][..., :3]
    if constant:
        planted.weights["kernel"][:] = 0.1
    run = run_of(planted, kind.class_name)
    found, count = search(run)
    weighed = assess(run, count)
    findings = [] if weighed.doubts else found
    predictions = write_probe(run, findings, os.devnull) if alike else ()
    return PortAnswer(findings, weighed, predictions, "probe.json")


ONE_STEP = Kind("LSTM", steps=1, batch=5)
GATES = "gates=input,forget,output,candidate"
ANSWERS = {
    "found": answer(Kind("GRU", biases=2), "gates=reset,update,candidate", "axes=time,batch"),
    "bidirectional": answer(Kind("LSTM", biases=2, directions=2), "merge=backward,forward"),
    "plain": answer(Kind("SimpleRNN")),
    "several": answer(ONE_STEP, GATES, alike=True),
    "doubted": answer(Kind("LSTM"), constant=True),
}


def settled(text: str) -> str:
    """Return the text without what rounding decides: the remaining difference and the digits."""
    text = re.sub(r"\d(\.\d+)?e-\d\d?", "REMAINING", text)
    text = re.sub(r"agree to \d+ digits", "agree to N digits", text)
    return re.sub(r"값의 \d+자리", "값의 N자리", text)


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_look_as_they_did(name: str) -> None:
    kept = SUFFIXES if name in ("found", "several") else ()
    check_looks("port", name, ANSWERS[name], kept, lambda text: round_digits(settled(text)))
