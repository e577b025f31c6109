"""PyTorch files that attack or are broken: a small file takes little time and memory, and runs nothing."""

import io
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import processor_time

from rnncli.errors import InputError
from rnncli.inputs.formats import Source
from rnncli.models.graph import Modules
from rnncli.models.reading import detect_kind, read
from rnncli.models.weight_files import readers as torch_reader
from rnncli.process import memory

torch = pytest.importorskip("torch")

ONES = np.ones(48, "<f4").tobytes()
PARTS = {"0": ONES, "1": ONES[: 36 * 4]}
SECONDS = 10.0


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def group(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + group(*arguments) + b"R"


def table(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def storage(key: str, count: int, kind: str = "FloatStorage", device: str = "cpu") -> bytes:
    return group(text("storage"), name("torch", kind), text(key), text(device), number(count)) + b"Q"


def tensor(
    shape: tuple[int, ...] = (12, 4),
    strides: tuple[int, ...] = (4, 1),
    *,
    key: str = "0",
    count: int = 48,
    start: int = 0,
    kind: str = "FloatStorage",
) -> bytes:
    return call(
        name("torch._utils", "_rebuild_tensor_v2"), storage(key, count, kind), number(start),
        group(*map(number, shape)), group(*map(number, strides)), b"\x89",
        call(name("collections", "OrderedDict")),
    )  # fmt: skip


RECURRENT = tensor((12, 3), (3, 1), key="1", count=36)


def zipped(value: bytes, parts: dict[str, bytes] = PARTS, method: int = zipfile.ZIP_STORED) -> bytes:
    """A file in PyTorch's present format, whose pickle is `value`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + value + b".")
        for key, data in parts.items():
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def layer(kernel: bytes, recurrent: bytes = RECURRENT, **more: bytes) -> bytes:
    return table(weight_ih_l0=kernel, weight_hh_l0=recurrent, **more)


def read_or_message(data: bytes) -> Modules | str:
    """What the reader returns, or what it says; in a short time, and without other processes left."""
    try:
        with processor_time(SECONDS):
            found = read(Source("in.pt", data, Path("in.pt")))
    except InputError as error:
        said = str(error)
        assert (said[:7], len(said) < 2000) == ("in.pt: ", True)
        return said
    assert isinstance(found, Modules)
    return found


def weights(found: Modules | str) -> Any:
    """The weights of the only layer in a file."""
    assert isinstance(found, Modules), found
    (module,) = found.modules
    return module.nodes[0].weights


def refusal_of(data: bytes) -> str:
    said = read_or_message(data)
    assert isinstance(said, str), said
    return said


@pytest.mark.parametrize("strides", [(4, 1), (0, 0)])
def test_a_file_by_hand_is_read(strides: tuple[int, ...]) -> None:
    kernel = weights(read_or_message(zipped(layer(tensor((12, 4), strides)))))["kernel"]
    assert (kernel.shape, kernel.min(), kernel.max()) == ((4, 12), 1, 1)


def repeated(shape: tuple[int, ...], kind: str = "FloatStorage", count: int = 36) -> bytes:
    """A tensor with a stride of 0, so that one stored number is repeated."""
    return tensor(shape, (0, 0), key="1", count=count, kind=kind)


RESIZED = group(
    storage("0", 48), number(0), group(*map(number, (120_000, 30_000))), group(number(0), number(0))
)


@pytest.mark.parametrize(
    ("kernel", "recurrent", "said"),
    [(repeated((40_000, 4)), repeated((40_000, 10_000)), ""),
     (repeated((120_000, 4)), repeated((120_000, 30_000)), ""),
     (repeated((0, 2**62)), repeated((0, 2**62)), ""),
     (tensor() + RESIZED + b"b", RECURRENT, ""),
     (repeated((60_000, 4), "BFloat16Storage", 72), repeated((60_000, 15_000), "BFloat16Storage", 72),
      " 3.4 GiB")],
    ids=["small", "large", "empty", "resized", "half precision, which takes twice as much"],
)  # fmt: skip
def test_tensors_of_more_numbers_than_the_file(kernel: bytes, recurrent: bytes, said: str) -> None:
    assert f"its numbers take{said}" in refusal_of(zipped(layer(kernel, recurrent)))


def shared_lists(count: int) -> bytes:
    """A key whose hash takes 2 ** count steps."""
    pairs = b"".join(
        b"h" + bytes([step, ord("h"), step]) + b"\x86q" + bytes([step + 1]) for step in range(count)
    )
    return b")q\x00" + pairs + b"}h" + bytes([count]) + b"Ns"


def shared_tables(depth: int) -> bytes:
    """Tables in tables, which a walk visits 8 ** depth times."""
    made = table(weight_ih_l0=tensor()) + b"q\x000"
    for step in range(1, depth):
        inner = b"".join(text(key) + b"h" + bytes([step - 1]) for key in "abcdefgh")
        made += b"}q" + bytes([step]) + b"(" + inner + b"u" + (b"0" if step < depth - 1 else b"")
    return made


@pytest.mark.parametrize(
    ("value", "method"),
    [(call(name("__builtin__", "bytearray"), number(2**33)), zipfile.ZIP_STORED),
     (b"](" + call(name("builtins", "bytearray"), number(2**28)) * 40 + b"e", zipfile.ZIP_STORED),
     (shared_lists(50), zipfile.ZIP_STORED),
     (shared_tables(13), zipfile.ZIP_STORED),
     (b"](" + b"".join(name(f"a{place}", "B") for place in range(20_000)) + b"e", zipfile.ZIP_STORED),
     (b"](" + b"}" * 2 * 10**7 + b"e", zipfile.ZIP_DEFLATED)],
    ids=["bytearray", "bytearrays", "hash", "tables", "names", "compressed"],
)  # fmt: skip
@pytest.mark.slow
def test_pickles_that_build_too_much(value: bytes, method: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_reader, "SECONDS", 0.4)
    refusal_of(zipped(value, method=method))


def test_compressed_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "EXPANDED", 2**20)
    data = zipped(layer(tensor((2**18, 4), count=2**20)), {"0": b"\0" * 2**22}, zipfile.ZIP_DEFLATED)
    assert "it would expand" in refusal_of(data)


@pytest.mark.parametrize(
    "key",
    ["bias_" * 8000 + "x", "a" * 200_000 + ".weight_ih_l0", "parametrizations.weight_" * 2000 + ".original0"],
)
def test_long_names(key: str) -> None:
    assert "characters" in refusal_of(zipped(table(**{key: tensor()})))


@pytest.mark.slow
def test_many_names() -> None:
    names = [f"r{place}.weight_hh_l0_raw" for place in range(6000)]
    with processor_time(SECONDS):
        read_or_message(zipped(table(**dict.fromkeys(names, RECURRENT))))


def test_a_table_inside_itself() -> None:
    items = text("a") + b"h\x00" + text("weight_ih_l0") + tensor() + text("weight_hh_l0") + RECURRENT
    assert weights(read_or_message(zipped(b"}q\x00(" + items + b"u")))


def saved(**tensors: Any) -> bytes:
    file = io.BytesIO()
    torch.save(tensors, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "axes"),
    [(saved(weight_ih_l0=torch.ones(12, 4).to(torch.float8_e4m3fn), weight_hh_l0=torch.ones(12, 3)), 2),
     (saved(weight_ih_l0=torch.ones(12, 4).to(torch.complex64), weight_hh_l0=torch.ones(12, 3)), 2),
     (saved(weight_ih_l0=torch.ones(12, 4, dtype=torch.int32), weight_hh_l0=torch.ones(12, 3)), 2),
     (saved(weight_ih_l0=torch.ones(12, 4).to_sparse(), weight_hh_l0=torch.ones(12, 3)), 2),
     (zipped(layer(tensor((1,) * 70, (1,) * 70))), 70)],
    ids=["float8", "complex", "integers", "sparse", "seventy axes"],
)  # fmt: skip
def test_weights_that_are_not_plain_floats(data: bytes, axes: int) -> None:
    found = read_or_message(data)
    assert isinstance(found, Modules)
    assert not found.modules
    assert len(found.other_shapes["weight_ih_l0"]) == axes


def test_a_view_with_opposite_signs() -> None:
    view = torch.complex(torch.zeros(12, 4), torch.ones(12, 4)).conj().imag
    found = read_or_message(saved(weight_ih_l0=view, weight_hh_l0=torch.ones(12, 3)))
    assert (weights(found)["kernel"] == -1).all()


@pytest.mark.parametrize("function", [
    name("os", "system"), name("posix", "system"), name("builtins", "eval"), name("torch", "load"),
    name("torch.hub", "load"),
])  # fmt: skip
@pytest.mark.parametrize("beside", [False, True])
def test_no_function_is_called(function: bytes, beside: bool, tmp_path: Path) -> None:
    mark = tmp_path / "run"
    command = f"touch {mark}" if b"system" in function else f"open({str(mark)!r}, 'w')"
    value = call(function, text(command))
    refusal_of(zipped(layer(tensor(), args=value) if beside else value))
    assert not mark.exists()


@pytest.mark.parametrize("key", ["/etc/passwd", "../data.pkl", "../../../../etc/passwd"])
def test_no_other_file_is_read(key: str) -> None:
    assert "PyTorch cannot read it" in refusal_of(zipped(layer(tensor(key=key))))


def earlier(*, whole: bool = True) -> bytes:
    """A state dict in PyTorch's format before 1.6; whether it lists the storages whose numbers follow."""
    file = io.BytesIO()
    made = {"weight_ih_l0": torch.ones(12, 4), "weight_hh_l0": torch.ones(12, 3)}
    torch.save(made, file, _use_new_zipfile_serialization=False)
    keys = sorted(str(one.untyped_storage()._cdata) for one in made.values())
    listed = pickle.dumps(keys, 2)
    assert listed in file.getvalue()
    return file.getvalue().replace(listed, listed if whole else pickle.dumps([], 2))


@pytest.mark.slow
def test_numbers_that_the_earlier_format_leaves_out() -> None:
    """PyTorch would return memory that nothing was written to."""
    assert isinstance(read_or_message(earlier()), Modules)
    assert "it has extra data after its tensors" in refusal_of(earlier(whole=False))


@pytest.mark.slow
def test_a_program_of_torch_export_is_refused_by_name() -> None:
    file = io.BytesIO()
    program = torch.export.export(torch.nn.Linear(4, 3), (torch.ones(1, 4),))
    torch.export.save(program, file)
    source = Source("in.pt2", file.getvalue())
    assert detect_kind(source) == "torch"
    with pytest.raises(InputError, match=r"it is a torch\.export program, which rnncli does not run"):
        read(source)


def flip(data: bytes, drawn: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(drawn.choice((1, 1, 2, 8))):
        place = drawn.randrange(len(changed))
        changed[place] = drawn.choice((0, 255, drawn.randrange(256)))
    return bytes(changed)


def swap(data: bytes, drawn: random.Random) -> bytes:
    """Exchange, repeat or leave out parts of a pickle."""
    first, second = sorted(drawn.randrange(len(data)) for _ in range(2))
    length = drawn.choice((1, 2, 5, 9))
    part = data[second : second + length]
    return data[:first] + drawn.choice((part, part * 2, b"")) + data[first + drawn.choice((0, 1, length)) :]


WHOLE: dict[str, Callable[[Callable[[bytes], bytes]], bytes]] = {
    "pickle": lambda change: zipped(change(layer(tensor(), args=table(a=number(1), b=b"](K\x01K\x02e")))),
    "numbers": lambda change: zipped(layer(tensor()), {**PARTS, "0": change(ONES)}),
    "zip": lambda change: change(zipped(layer(tensor()))),
    "earlier": lambda change: change(earlier()),
}


@given(st.sampled_from(sorted(WHOLE)), st.integers(0, 2**32), st.sampled_from((flip, swap)))
@pytest.mark.slow
def test_any_bytes(part: str, seed: int, change: Callable[[bytes, random.Random], bytes]) -> None:
    read_or_message(WHOLE[part](lambda data: change(data, random.Random(seed))))
