"""What a cell's file must not be: exit 2, with the file, the line and a caret, and nothing on stdout."""

import json
import os
from pathlib import Path

import pytest
from command import Run

GOOD = """\
name = "Own"
states = ["hidden"]
[options]
activation = "tanh"
rate = 0.5
[weights]
peephole = { shape = ["units"] }
[step]
gate = "sigmoid(x @ kernel + hidden @ recurrent_kernel + bias)"
hidden = "gate"
"""
MAY = (
    "An equation may contain names, numbers, + - * / ** @, parentheses and functions: "
    "sigmoid(x @ kernel + hidden @ recurrent_kernel + bias)."
)
EQUATIONS = [
    ("gat * hidden", "gat", "there is no name gat", "Did you mean gate?"),
    ("sigmod(gate)", "sigmod", "there is no function sigmod", "Did you mean sigmoid?"),
    ("gate * later", "later", "there is no name later", "Did you mean rate?"),
    ("x @ kernal", "kernal", "there is no name kernal", "Did you mean kernel?"),
    ("peephol * hidden", "peephol", "there is no name peephol", "Did you mean peephole?"),
    ("__import__('os')", "'os'", "this cannot be used in an equation", MAY),
    ("hidden.shape", "hidden.shape", "this cannot be used in an equation", MAY),
    ("gate[0]", "gate[0]", "this cannot be used in an equation", MAY),
    ("hidden + (lambda: 0)", "lambda: 0", "this cannot be used in an equation", MAY),
    ("None", "None", "this cannot be used in an equation", MAY),
    ("tanh(*x)", "tanh(*x)", "this cannot be used in an equation", MAY),
    ("hidden == 1", "hidden == 1", "this cannot be used in an equation", MAY),
    ("x; import os", ";", "invalid syntax", MAY),
    ("hidden # a", "#", "this character cannot be used in an equation", MAY),
    ("1e999 * hidden", "1e999", "the number is too large", "Write a smaller number."),
    ("0x10 * hidden", "0x10", "this is not a decimal number", MAY),
    ("1_000 * hidden", "1_000", "this is not a decimal number", MAY),
    ("9**9**9 * hidden", "9**9**9", "9 ** 387420489.0 is not a finite number", "Write another number."),
    ("hidden / (1/0)", "1/0", "1 / 0 is not a finite number", "Write another number."),
    ("hidden * log(rate - 0.5)", "log", "log(0) is not a finite number", "Write another number."),
    ("softmax(1 + rate) @ recurrent_kernel", "softmax(1 + rate) @ recurrent_kernel",
     "a number alone stands on the left of @", "Put a name there, such as x or hidden."),
    ("hidden + 01", "0", "a number cannot begin with 0", MAY),
    ("hidden @ hidden", "hidden @ hidden", "@ needs a weight of two axes on its right",
     "For example x @ kernel, or hidden @ recurrent_kernel."),
    ("hidden * kernel", "kernel", "kernel has two axes, so it must be on the right of @", None),
    ("activation + 1", "activation", "activation is an activation", "Write activation(...)."),
    ("hidden * tanh", "tanh", "tanh is a function", "Write tanh(...)."),
    ("tanh(x, x)", "tanh", "tanh takes one argument, not 2", None),
    ("maximum(hidden)", "maximum", "maximum takes 2 arguments, not 1", None),
]  # fmt: skip


def refusal(rnncli: Run, tmp_path: Path, text: str | bytes, *more: str) -> str:
    """Return the message about a cell's file, without the program's and the file's name."""
    file = tmp_path / "own.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    said = rnncli("run", "-l", f"@{file}", "--quiet", *more).refusal()
    return said.removeprefix("rnncli: ").replace(f"{file}: ", "FILE: ").rstrip("\n")


@pytest.mark.parametrize(("code", "marked", "reason", "advice"), EQUATIONS)
def test_equation(
    code: str, marked: str, reason: str, advice: str | None, rnncli: Run, tmp_path: Path
) -> None:
    said = refusal(rnncli, tmp_path, GOOD.replace('"gate"', f'"{code}"'))
    caret = " " * code.index(marked) + "^" * len(marked)
    start = f"FILE: line 10, hidden: {reason}.\n  {code}\n  {caret}"
    assert said == "\n".join(filter(None, (start, advice)))


QUOTES = 'An equation is written in quotes: hidden = "tanh(x @ kernel)"'
SHORTER = "Give parts of it a line of their own."
WHOLE = [
    ("", "FILE: it has no equations.\nWrite them below [step]."),
    (GOOD.replace("states =", "source ="), 'FILE: it has no states.\nFor example states = ["hidden"].'),
    ('name = "Own"\nhidden = "tanh(x @ kernel)"\n',
     "FILE: line 2: there is no entry 'hidden'.\nWrite [step] above the equations."),
    ("hidden = tanh(x)",
     "FILE: line 1: this is not valid TOML.\n  hidden = tanh(x)\n           ^\n"
     'An equation is written in quotes: hidden = "tanh(x @ kernel)"'),
    (GOOD + 'gate = "x"\n',
     'FILE: line 11: this name is given twice.\n  gate = "x"\n            ^\n'
     "A name can be assigned only once."),
    (GOOD.replace("[step]", "[stepp]"), "FILE: line 8: there is no entry 'stepp'.\nDid you mean step?"),
    (GOOD.replace('["hidden"]', '["hidden", "cel"]').replace("gate =", "cell ="),
     "FILE: line 2: no line assigns the state cel.\nDid you mean cell?"),
    *(
        (
            GOOD.replace('["hidden"]', f'["hidden", "{name}"]').replace("gate", name),
            f"FILE: line 2: a state cannot be called {name}: traces and gradients show something else under "
            "this name.\nChoose another name.",
        )
        for name in ("input", "output", "timestep", "status")
    ),
    (GOOD.replace("[step]", "[step.a]"),
     'FILE: line 8, a: an equation must be a text in quotes.\nFor example hidden = "tanh(x @ kernel)".'),
    (GOOD.replace('"gate"', '"a"') + 'a = "b"\nb = "a"\n',
     "FILE: line 10, hidden: a is used before it is assigned.\n"
     "  a\n"
     "  ^\n"
     "Move its line above this one, or make it a state."),
    (GOOD.replace("rate =", "gate ="), "FILE: line 9: gate is already an option.\nChoose another name."),
    (GOOD.replace("peephole =", "rate ="), "FILE: line 7: rate is already an option.\nChoose another name."),
    (GOOD.replace("gate", "tanh"), "FILE: line 9: tanh is already a function.\nChoose another name."),
    (GOOD.replace("rate =", "dropout ="),
     "FILE: line 5: dropout is an option of every cell and its layer.\nChoose another name."),
    (GOOD.replace("gate =", "lambda ="),
     "FILE: line 9: 'lambda' cannot be a name.\nUse ASCII letters, digits and _, and no keyword of Python."),
    (GOOD.replace("rate =", '"a\\u001b[31m" ='),
     "FILE: line 3: 'a\\x1b[31m' cannot be a name.\n"
     "Use ASCII letters, digits and _, and no keyword of Python."),
    (GOOD.replace("tanh", "tahn"),
     "FILE: line 4, activation: there is no activation 'tahn'.\nDid you mean tanh?"),
    (GOOD.replace("states", "source.a = 1\nstates"),
     'FILE: the source is not a text in quotes.\nFor example source = "Zhou et al. 2016".'),
    (GOOD.replace("0.5", "9" * 6000), "FILE: it is not valid TOML, or is nested too deeply.\n" + QUOTES),
    ("source." + "a." * 40_000 + "b = 1\n" + GOOD,
     "FILE: it is not valid TOML, or is nested too deeply.\n" + QUOTES),
    (GOOD.replace("0.5", "inf"), "FILE: line 5: rate is not a finite number."),
    (GOOD.replace('["units"]', '["unit"]'),
     "FILE: line 7: the weight peephole needs a shape of one or two sizes: units, features or a number.\n"
     'For example peephole = { shape = ["units"], initializer = "zeros" }.'),
    (GOOD.replace('["units"]', '["units", 2, "features"]'),  # three axes need a file that names axes
     "FILE: line 7: the weight peephole needs a shape of one or two sizes: units, features or a number.\n"
     'For example peephole = { shape = ["units"], initializer = "zeros" }.'),
    (GOOD.replace('["units"]', '["units"], initializer = "onse"'),
     "FILE: line 7, peephole: there is no initializer 'onse'.\nDid you mean ones?"),
    (GOOD.replace('"gate"', f'"{"-" * 3000}gate"'),
     f"FILE: line 10, hidden: the equation has 3004 characters; at most 2000 are allowed.\n{SHORTER}"),
    (GOOD.replace('"gate"', f'"{"(" * 51}gate{")" * 51}"'),
     "FILE: line 10, hidden: the expression is nested more than 50 brackets.\nUse fewer brackets."),
    ("a = " + "[" * 20_000 + "]" * 20_000,  # more than any recursion limit that a library sets
     "FILE: it is not valid TOML, or is nested too deeply.\n"
     'An equation is written in quotes: hidden = "tanh(x @ kernel)"'),
    (GOOD + "".join(f'a{k} = "x"\n' for k in range(300)),
     "FILE: line 8: step is not a table of at most 200 entries.\nWrite [step], then one entry per line."),
    ("".join(f"k{k} = 1\n" for k in range(1_000_000)),
     "FILE: it has more than 100000 characters.\nA cell has at most a page of equations."),
    (b"\xff\xfe\x00\x01" * 99,
     "FILE: it is not a text in UTF-8.\nGive a TOML file, such as rnncli samples mgu prints."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WHOLE, ids=range(len(WHOLE)))
def test_a_bad_file(text: str | bytes, said: str, rnncli: Run, tmp_path: Path) -> None:
    assert refusal(rnncli, tmp_path, text) == said


def test_a_name_of_sixty_letters_is_the_longest(rnncli: Run, tmp_path: Path) -> None:
    assert "not a word" in refusal(rnncli, tmp_path, GOOD.replace('"Own"', f'"{"N" * 61}"'))
    (tmp_path / "own.toml").write_text(GOOD.replace('"Own"', f'"{"N" * 60}"'))
    assert rnncli("shape", "-l", "@own.toml(3)", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("code", ["-" * 1990 + "x", "*".join(["x"] * 60), "x**" * 60 + "2"])
def test_too_many_levels(code: str, rnncli: Run, tmp_path: Path) -> None:
    said = refusal(rnncli, tmp_path, GOOD.replace('"gate"', f'"{code}"'))
    assert said.startswith("FILE: line 10, hidden: this is nested more than 50 levels.\n")
    assert said.endswith(f"^\n{SHORTER}")


def test_full_width_letters(rnncli: Run, tmp_path: Path) -> None:
    said = refusal(rnncli, tmp_path, GOOD.replace('"gate"', '"ｇate"'))
    expected = "FILE: line 10, hidden: this character cannot be used in an equation.\n  ｇate\n  ^^\n"
    assert said == expected + MAY


@pytest.mark.parametrize(("code", "said"), [
    ("x", "it has 5 numbers, but the state hidden has 3.\n  x\n  ^"),
    ("x + gate", "its parts have 5 and 3 numbers.\n  x + gate\n  ^^^^^^^^"),
    ("x @ recurrent_kernel", "recurrent_kernel needs 3 numbers on its left, not 5.\n"),
])  # fmt: skip
def test_sizes_that_do_not_fit(code: str, said: str, rnncli: Run, tmp_path: Path) -> None:
    """They are known with the input."""
    assert refusal(rnncli, tmp_path, GOOD.replace('"gate"', f'"{code}"')).startswith(
        f"FILE: line 10, hidden: {said}"
    )


def test_names_of_python_are_names(rnncli: Run, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        'states = ["self"]\n[step]\nprint = "x @ kernel"\n__class__ = "print + 1"\nself = "__class__"\n'
    )
    done = rnncli("run", "-l", f"@{tmp_path}/a.toml", "--check", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_cell_without_weights(rnncli: Run, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('states = ["hidden"]\n[step]\nhidden = "tanh(x + 0.5 * hidden)"\n')
    done = rnncli("run", "-l", f"@'{tmp_path}/a.toml'(5)", "--check", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("layer", "said"), [
    ("own.toml", "--layer own.toml: it is not a layer.\nFor a file that contains a cell, write @own.toml."),
    ("@ow.toml", "ow.toml: there is no such file.\nDid you mean own.toml?"),
    ("@sub.toml(4)", "sub.toml: it is a folder.\nName a file in it."),
    ("RNN([@own.tml(4)])",
     "after @ comes the path of a file that ends in .toml.\n"
     "  RNN([@own.tml(4)])\n"
     "       ^\n"
     "For example @mgu.toml(4), or @'my cells/mgu.toml'(4)."),
    ("@own.toml(4",
     "'(' was never closed.\n"
     "  @own.toml(4\n"
     "           ^\n"
     "An expression may contain only calls, names, numbers, strings, lists, tuples and "
     "dicts: LSTM(3, activation='relu')."),
    ("@own.toml(4, rat=1)",
     "@Own has no argument 'rat'.\n  @own.toml(4, rat=1)\n               ^^^\nDid you mean rate?"),
    ("@own.toml(4, return_sequence=True)",
     "@Own has no argument 'return_sequence'.\n"
     "  @own.toml(4, return_sequence=True)\n"
     "               ^^^^^^^^^^^^^^^\n"
     "Did you mean return_sequences?"),
    ("@own.toml(4, rate='a')",
     "@Own: rate='a' is not a number.\n  @own.toml(4, rate='a')\n               ^^^^\nThe default is 0.5."),
])  # fmt: skip
def test_a_bad_name(layer: str, said: str, rnncli: Run, here: Path) -> None:
    Path("own.toml").write_text(GOOD)
    Path("sub.toml").mkdir()
    done = rnncli("run", "-l", layer)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"rnncli: {said}\n")


def test_flags_that_a_cell_lacks(rnncli: Run, here: Path) -> None:
    Path("own.toml").write_text(GOOD)
    options = "units, activation, rate, use_bias, kernel_initializer, recurrent_initializer, bias_initializer"
    done = rnncli("run", "-l", "@own.toml", "--recurrent-activation", "relu")
    expected = f"The options of @Own are {options}, dropout, recurrent_dropout, seed, dtype.\n"
    assert done.stderr == f"rnncli: --recurrent-activation does not apply to @Own.\n{expected}"
    done = rnncli("run", "-l", "@own.toml", "--rate", "0.1")
    assert done.stderr.endswith("an option of a cell in the expression: -l '@FILE.toml(3, rate=...)'\n")
    for engine, what in (("onnx", "it has no node for @Own"), ("torch", "it has no module for @Own")):
        assert what in rnncli("run", "-l", "@own.toml", "--engine", engine).refusal()


@pytest.mark.parametrize(
    "file", ["../own.toml", "/etc/own.toml", ".own.toml", "own.py", "link.toml", "link/own.toml", "no.toml"]
)
def test_a_document_names_only_files_beside_it(file: str, rnncli: Run, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    (folder / "sub").mkdir(parents=True)
    for path in (tmp_path / "own.toml", folder / ".own.toml", folder / "own.py", folder / "sub/own.toml"):
        path.write_text(GOOD)
    (folder / "link.toml").symlink_to(folder / "sub/own.toml")
    (folder / "link").symlink_to(folder / "sub")
    for layer in (f"@{file}(3)", [f"@{file}(3)"], f"Bidirectional(@{file}(3))"):
        (folder / "d.json").write_text(json.dumps({"layer": layer, "inputs": [[[1, 2]]]}))
        rnncli("run", str(folder / "d.json")).refusal()
    (folder / "d.json").write_text(json.dumps({"layer": "@sub/own.toml(3)", "inputs": [[[1, 2]]]}))
    assert rnncli("run", str(folder / "d.json")).returncode == 0


@pytest.mark.parametrize(
    "name", ["layer", "cell", "merge_mode", "equations", "my_initializer", "return_state"]
)
def test_options_that_mean_something_else(name: str, rnncli: Run, tmp_path: Path) -> None:
    said = refusal(rnncli, tmp_path, GOOD.replace("rate =", f"{name} ="))
    assert said == f"FILE: line 5: {name} is an option of every cell and its layer.\nChoose another name."


def test_an_integer_too_large_for_a_float(rnncli: Run, tmp_path: Path) -> None:
    said = refusal(rnncli, tmp_path, GOOD.replace('"gate"', f'"{"9" * 400} * hidden"'))
    assert said.startswith("FILE: line 10, hidden: the number is too large.\n")


@pytest.mark.parametrize(
    ("layer", "said"), [("@pipe.toml(2)", "pipe.toml: it is a pipe."), ("@" * 100_000 + ".toml", "")]
)
def test_a_document_that_names_no_cell(layer: str, said: str, rnncli: Run, tmp_path: Path) -> None:
    """Neither a pipe, to which nobody writes, nor a long name takes long."""
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "case.json").write_text(json.dumps({"inputs": [[[1.0]]], "layer": layer}), encoding="utf-8")
    assert said in rnncli("run", str(tmp_path / "case.json")).refusal()


@pytest.mark.parametrize("state", ["memory", "number", "alarm"])
def test_gradients_of_a_state_of_any_name(state: str, rnncli: Run, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        GOOD.replace('["hidden"]', f'["hidden", "{state}"]') + f'{state} = "gate + {state}"\n',
        encoding="utf-8",
    )
    done = rnncli("gradients", "-l", "@own.toml(2)", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert state in done.stdout


def test_a_number_alone_on_the_left_of_a_product(rnncli: Run, tmp_path: Path) -> None:
    """Without a bias it is 0, and so is its product; any other number is refused."""
    weights = '[weights]\nm = { shape = ["units", "units"] }\n[step]\n'
    (tmp_path / "zero.toml").write_text(
        'states = ["hidden"]\n' + weights + 'hidden = "tanh(x @ kernel + bias @ m)"\n'
    )
    (tmp_path / "two.toml").write_text(
        'states = ["hidden"]\n' + weights + 'hidden = "tanh(x @ kernel + (bias + 2) @ m)"\n'
    )
    options = ("--no-use-bias", "--seed", "1", "--quiet", "-f", "csv")
    zero = rnncli("run", "-l", f"@{tmp_path}/zero.toml", *options, "--check")
    assert (zero.returncode, zero.stderr) == (0, "")
    assert rnncli("run", "-l", f"@{tmp_path}/two.toml", *options).refusal() == (
        f"rnncli: {tmp_path}/two.toml: line 5, hidden: a number alone stands on the left of @.\n"
        "  tanh(x @ kernel + (bias + 2) @ m)\n"
        "                    ^^^^^^^^^^^^^^\n"
        "Put a name there, such as x or hidden.\n"
    )


def test_an_option_for_which_a_constant_is_not_finite(rnncli: Run, tmp_path: Path) -> None:
    """It is known with the options, and says where in the file it stands."""
    text = GOOD.replace('"gate"', '"gate / (1 / rate)"')
    said = rnncli(
        "run", "-l", "@own.toml(3, rate=0)", "--quiet", cwd=write_own_toml(tmp_path, text)
    ).refusal()
    assert said == (
        "rnncli: own.toml: line 10, hidden: 1 / 0 is not a finite number.\n"
        "  gate / (1 / rate)\n"
        "          ^^^^^^^^\n"
        "Write another number.\n"
    )


def test_sizes_of_a_cell_in_a_config(rnncli: Run, tmp_path: Path) -> None:
    """It has no file, so the error names the cell; a layer's file is named, too."""
    config = {"class_name": "Own", "config": {"equations": GOOD.replace('"gate"', '"x"'), "units": 3}}
    (tmp_path / "layer.json").write_text(json.dumps(config))
    assert (
        rnncli("run", "-l", "@layer.json", "--quiet", cwd=tmp_path)
        .refusal()
        .startswith("rnncli: Own: line 10, hidden: it has 5 numbers, but the state hidden has 3.\n  x\n  ^\n")
    )


def write_own_toml(folder: Path, text: str) -> Path:
    (folder / "own.toml").write_text(text)
    return folder


def test_a_stack_names_the_cell(rnncli: Run, tmp_path: Path) -> None:
    folder = write_own_toml(tmp_path, GOOD)
    assert rnncli("run", "-l", "@own.toml(2)", "-l", "@own.toml(3)", "--quiet", cwd=folder).refusal() == (
        "rnncli: layer 1 (@Own) needs (batch, timesteps, features), but layer 0 (@Own) returns "
        "(batch, units).\nGive layer 0 return_sequences=True.\n"
    )


@pytest.mark.parametrize("layer", ["mgu", "MGU", "mgu(4)", "peephole-lstm"])
def test_a_cell_of_the_samples_by_its_name(layer: str, rnncli: Run, tmp_path: Path) -> None:
    """The advice works when followed."""
    done = rnncli("run", "-l", layer, "--quiet", cwd=tmp_path)
    name = "mgu" if layer.lower().startswith("mgu") else "peephole_lstm"
    written = layer.partition("(")[0]
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"rnncli: there is no layer '{written}'.\n"
        f"It is a cell of the samples: rnncli samples {name} > {name}.toml, then --layer @{name}.toml\n"
    )
    (tmp_path / f"{name}.toml").write_text(rnncli("samples", name).stdout)
    done = rnncli("run", "--layer", f"@{name}.toml", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.dumps({"layer": layer, "inputs": [[[1, 2]]]})
    assert "rnncli samples" in rnncli("run", "-", "--quiet", input=document).stderr


def test_a_flag_that_a_cell_lacks(rnncli: Run, tmp_path: Path) -> None:
    """An option that is named like no flag is set in the expression, as the advice says."""
    folder = write_own_toml(tmp_path, GOOD)
    assert rnncli("run", "-l", "@own.toml", "--rate", "2", "--quiet", cwd=folder).refusal() == (
        "rnncli: there is no flag --rate.\n"
        "Set an option of a cell in the expression: -l '@FILE.toml(3, rate=...)'\n"
    )
    done = rnncli("run", "-l", "@own.toml(3, rate=2)", "--quiet", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    done = rnncli("shape", "-l", "@own.toml", "--seed", "1", cwd=folder)
    assert done.stderr == (  # a flag of another command is no option of a cell
        "rnncli: rnncli shape has no flag --seed; rnncli run has it.\n"
        "Leave --seed out; `rnncli shape --help` lists the flags.\n"
    )


def test_a_first_state_of_another_name(rnncli: Run, tmp_path: Path) -> None:
    """Every result calls it hidden; errors call it as the file does, and its line may have an initializer."""
    text = 'states = ["h", "c"]\n[weights]\nbias = { h = "ones" }\n[step]\n'
    text += 'h = "x @ kernel + bias"\nc = "h + bias"\n'
    folder = write_own_toml(tmp_path, text)
    done = rnncli(
        "run", "-l", "@own.toml(2)", "--fill", "zeros", "--input-shape", "1,2,3", "--quiet", "-f", "csv",
        cwd=folder,
    )  # fmt: skip
    assert [line.split(",")[-1] for line in done.stdout.splitlines()[1:]] == ["1.0", "1.0"]
    done = rnncli(
        "run", "-l", "@own.toml(2)", "--quiet", cwd=write_own_toml(tmp_path, text.replace("x @ kernel", "x"))
    )
    assert done.stderr.startswith("rnncli: own.toml: line 5, h: its parts have 5 and 2 numbers.\n")


def test_a_matrix_that_is_also_used_rightly(rnncli: Run, tmp_path: Path) -> None:
    said = refusal(rnncli, tmp_path, GOOD.replace('"gate"', '"gate @ recurrent_kernel + recurrent_kernel"'))
    assert said.startswith(
        "FILE: line 10, hidden: recurrent_kernel has two axes, so it must be on the right of @.\n"
    )
