"""why: every text of causes/*.toml is filled for some message, in English and in Korean."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from mistakes import message_of, provoked
from test_why_answer import AS_TEXT, OTHERS
from test_why_keras import CODES
from test_why_torch import NAMES as TORCH_NAMES
from test_why_torch import PROVOKED as TORCH

from rnncli.commands.why import diagnosis
from rnncli.commands.why.diagnosis import Bilingual, Cause, matches, read_causes
from rnncli.commands.why.values import COMPUTE

pytestmark = [  # the mistakes are meant
    pytest.mark.filterwarnings("ignore:Do not pass an .input_shape.:UserWarning"),
    pytest.mark.filterwarnings("ignore:Argument .input_length. is deprecated:UserWarning"),
]

EXAMPLES = (
    """Exception encountered when calling LSTMCell.call().
Dimensions must be equal, but are 4 and 3 for '{{node a}} = MatMul[T]()' with input shapes: [1,4], [3,12].
Arguments received by LSTMCell.call():
  • inputs=tf.Tensor(shape=(1, 5), dtype=float32)
  • states=('tf.Tensor(shape=(1, 4), dtype=float32)', 'tf.Tensor(shape=(1, 4), dtype=float32)')""",
    "Unrecognized keyword arguments passed to LSTM: {'hidden_size': 8}",
    "Unrecognized keyword arguments passed to LSTM: {'colour': 'red'}",
    "Error when deserializing: Unrecognized keyword arguments passed to LSTM: {'time_major': False}",
    "Matrix size-incompatible: In[0]: [1,4], In[1]: [5,12]",
    "expected shape=(None, 4, 1), found shape=(2, 4)",
    "expected shape=(None, 4, 5), found shape=(2, 4, 5, 1)",
    "expected ndim=3, found ndim=2. Full shape received: (7, 5)",
    "expected ndim=3, found ndim=4. Full shape received: (2, 4, 1, 5)",
    "output, h, c = nn.LSTM(10, 8)(x)\nValueError: too many values to unpack (expected 2)",
    "module 'tensorflow.nn' has no attribute 'GRUCell'",
    "number of samples that can be divided by the batch size. Found: 100 samples",
    *(
        f"RNNBase.__init__() got an unexpected keyword argument '{name}'"
        for name in ("units", "return_state", "go_backwards", "stateful")
    ),
    "'list' object has no attribute 'shape'",
    *(
        f"h = {layer}(x)\n'tuple' object has no attribute 'shape'"
        for layer in ("nn.GRU(5, 3)", "GRU(3, return_state=True)")
    ),
    "When passing `initial_state` to a Bidirectional RNN, the state should be array(1), array(2)",
)
"""Messages of the texts that no other test shows."""

CAUSE_KEYS = {
    "pattern", "like", "compute", "shapes", "arguments", "variant", "when", "en", "ko", "hint", "fix",
}  # fmt: skip
FIX_KEYS = {"each", "when", "en", "ko", "code", "layers", "input", "mask", "states", "weights"}


def tables_of(causes: Iterable[Cause]) -> Iterator[dict[str, Any]]:
    """Yield the tables of causes and of their variants, which have the same keys."""
    for cause in causes:
        yield from (cause.table, *cause.table["variant"])


def shapes_in(text: str) -> list[str]:
    return re.findall(r"\(\d[\d, None]*,[\d, None]*\)", text)


@pytest.mark.slow
def test_every_text_is_shown_in_both_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: set[int] = set()
    say = diagnosis._bilingual

    def record(table: dict[str, Any], fields: dict[str, Any]) -> Bilingual:
        said = say(table, fields)
        assert bool(said.en) == bool(said.ko)
        assert not re.search("[가-힣]", said.en)
        assert not said.ko or re.search("[가-힣]", said.ko) or said.ko == said.en
        assert shapes_in(said.en) == shapes_in(said.ko)
        shown.add(id(table.get("en")))
        return said

    monkeypatch.setattr(diagnosis, "_bilingual", record)
    torch = (message_of(code, TORCH_NAMES) for _, code in TORCH)
    texts = [*OTHERS.values(), *AS_TEXT, *EXAMPLES, *map(provoked, CODES), *torch]
    causes = {match.diagnosis.cause for text in texts for match in matches(text)}
    assert causes == {cause.name for cause in read_causes()}
    parts = [
        part
        for table in tables_of(read_causes())
        for part in (table, table.get("hint", {}), *table.get("fix", ()))
    ]
    assert {part["en"] for part in parts if "en" in part and id(part["en"]) not in shown} == set()


def test_tables_have_only_known_keys() -> None:
    for table in tables_of(read_causes()):
        assert set(table) <= CAUSE_KEYS
        assert all(set(fix) <= FIX_KEYS for fix in table.get("fix", ()))


def test_every_function_is_named_by_a_cause() -> None:
    assert {table["compute"] for table in tables_of(read_causes()) if "compute" in table} == set(COMPUTE)
