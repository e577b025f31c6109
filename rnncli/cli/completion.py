"""Complete what people type after a flag: layers, files, models, activations, tensors and gates.

A function gets the unfinished word and returns the words that continue it.  It must be fast, so it imports
what it needs, and no framework; and it must not fail, so a wrong command line completes to nothing.
"""

# Annotations are objects rather than text, because Typer evaluates them for every flag.

import os
import re
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from typing import Any

import typer

from rnncli.cli.catalog import click

Completer = Callable[..., list[str]]


def complete(app: click.Command, args: Sequence[str]) -> None:
    """Print the completions of the unfinished word; print nothing for a wrong command line."""
    import io
    from contextlib import redirect_stdout, suppress

    from rnncli.cli import terminal
    from rnncli.errors import RnncliError

    shell = os.environ["_RNNCLI_COMPLETE"].removeprefix("complete_")
    if shell == "zsh":  # the form of fish is plain: a word, a tab, its help
        os.environ.update(_RNNCLI_COMPLETE="complete_fish", _TYPER_COMPLETE_FISH_ACTION="get-args")
    with suppress(RnncliError, KeyError, ValueError):  # KeyError, ValueError: the variables are not a shell's
        typed = _join_typed(os.environ) if shell == "bash" else ""
        if shell not in ("bash", "zsh"):
            app(args, prog_name="rnncli")
        with redirect_stdout(io.StringIO()) as shown, suppress(SystemExit):
            app(args, prog_name="rnncli")
        lines = shown.getvalue().splitlines()
        terminal.write(for_zsh(lines) if shell == "zsh" else for_bash(lines, typed))
        terminal.flush()


def layer_words(incomplete: str) -> list[str]:
    """Complete a layer, `bilstm` or `GRU`, or a file: of a config, `@layer.json`, or a cell, `@mgu.toml`."""
    if incomplete.startswith("@"):
        return _begin((f"@{path}" for path in _files(incomplete[1:], (".json", ".toml"))), incomplete)
    from rnncli import initializers, layers
    from rnncli.specs.build import short_names

    options = {name: layers.class_of(name).options for name in layers.LAYERS}
    needed = {name: [key for key in given if given[key].required] for name, given in options.items()}
    classes = [name for name in layers.LAYERS if needed[name] in ([], ["units"])]
    return _begin([*map(initializers.snake_case, classes), *short_names(), *classes], incomplete)


def model_words(incomplete: str) -> list[str]:
    """Complete the layers of a saved model, `model.keras#lstm,gru`; the shell completes the file itself."""
    from rnncli.ask import Ask
    from rnncli.ask.saved import Saved
    from rnncli.errors import RnncliError
    from rnncli.inputs.source import split_layers

    file, sign, names = incomplete.rpartition("#")
    if not sign:
        return []
    before, comma, _ = names.rpartition(",")
    chosen = f"{file}#{before}{comma}"
    try:
        others = [name for name in Saved(Ask(model=file)).layer_names() if name not in before.split(",")]
    except RnncliError:
        return []
    return _begin((chosen + name for name in others if split_layers(f"#{name}")[1] == (name,)), incomplete)


def activation_words(incomplete: str) -> list[str]:
    """Complete an activation."""
    from rnncli.cells import activations

    return _begin(activations.names(), incomplete)


def initializer_words(incomplete: str) -> list[str]:
    """Complete an initializer."""
    from rnncli import initializers

    return _begin(initializers.names(), incomplete)


def topic_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a page of the handbook; for help, also a command."""
    from rnncli import handbook
    from rnncli.cli import catalog

    commands = catalog.names() if ctx.info_name == "help" else ()
    return _begin([*handbook.TOPICS, *commands], incomplete)


def sample_words(incomplete: str) -> list[str]:
    """Complete a built-in sample."""
    from rnncli.inputs import sample_files

    return _begin((sample.name for sample in (*sample_files.SAMPLES, *sample_files.CELLS)), incomplete)


def input_words(incomplete: str) -> list[str]:
    """Complete an input: a sample, a file or the layers of a model, `model.keras#lstm`.

    Where no sample fits, the shell completes the file.
    """
    if "#" in incomplete:
        return model_words(incomplete)
    from rnncli.inputs import sample_files

    samples = _begin(sample_files.names(), incomplete)
    return _begin([*samples, *_files(incomplete, ("",))], incomplete) if samples else []


def tensor_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a tensor that the layers return."""
    return _begin((info.name for info in _outputs(_stack(ctx))), incomplete)


def number_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete one number that explain takes: a tensor or a gate with the index of its first entry."""
    from rnncli.compute.trace import list_loop_parts

    stack = _stack(ctx)
    if stack is None:
        return []
    stacks = (stack.with_returns(return_sequences=every, return_state=True) for every in (False, True))
    infos = [info for stack in stacks for info in _outputs(stack)]
    returned = [f"{info.name}[{','.join('0' for _ in info.axes)}]" for info in infos]
    inside = [f"{name}[0,0]" for name in list_loop_parts(stack)]
    return _begin([*returned, *inside], incomplete)


def gate_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a gate of the layers."""
    return _begin((str(part.label.short) for part in _gates(ctx).values()), incomplete)


def hold_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a gate with a value: closed, 0, or open, 1."""
    return _begin((f"{gate}={value}" for gate in _gates(ctx) for value in (0, 1)), incomplete)


BY_NAME: dict[str, Completer] = {
    "input": input_words,
    "tensor": number_words,
    "name": sample_words,
    "topic": topic_words,
    "layer": layer_words,
    "model": model_words,
    "other": model_words,
    "activation": activation_words,
    "recurrent_activation": activation_words,
    "kernel_initializer": initializer_words,
    "recurrent_initializer": initializer_words,
    "bias_initializer": initializer_words,
    "select": tensor_words,
    "gate": gate_words,
    "hold": hold_words,
}
"""The functions by the name of an option."""


def completer(name: str, choices: Sequence[str]) -> Completer:
    """Return the function that completes an option: from BY_NAME, else a function that offers its choices."""
    return BY_NAME.get(name) or (lambda incomplete: _begin(choices, incomplete))


def _begin(words: Iterable[str], incomplete: str) -> list[str]:
    """Return the words that continue what was typed, except words with control or format characters."""
    from rnncli.show.visible import visible

    return [word for word in dict.fromkeys(words) if word.startswith(incomplete) and visible(word) == word]


def _files(start: str, suffixes: tuple[str, ...]) -> list[str]:
    from rnncli.errors import UsageError
    from rnncli.inputs.source import expand_user

    folder, name = os.path.split(start)
    try:
        entries = sorted(expand_user(folder or ".").iterdir())
    except (OSError, UsageError):
        return []
    shown = (entry for entry in entries if entry.name.startswith(name) and (name or entry.name[0] != "."))
    kept = (entry for entry in shown if entry.is_dir() or entry.name.endswith(suffixes))
    before = start.removesuffix(name) if name else start
    return [f"{before}{entry.name}{'/' if entry.is_dir() else ''}" for entry in kept]


def _stack(ctx: typer.Context) -> Any:
    """Return the Stack that the command line describes so far; None if it describes none."""
    from rnncli.ask import LAYER_OPTIONS, Ask
    from rnncli.errors import RnncliError

    given = {name: ctx.params[name] for name in LAYER_OPTIONS if ctx.params.get(name) is not None}
    ask = Ask(layer=ctx.params.get("layer"), options=given, all_layers=True)
    try:
        return ask.stack()
    except RnncliError:
        return None


def _gates(ctx: typer.Context) -> dict[Any, Any]:
    from rnncli.compute.trace import list_loop_parts

    stack = _stack(ctx)
    return {name: part for name, part in list_loop_parts(stack).items() if part.label.kind} if stack else {}


def _outputs(stack: Any) -> list[Any]:
    """Return the tensors of the last layer; of a stack, then the tensors of every layer."""
    from rnncli.errors import RnncliError

    if stack is None:
        return []
    shape = (1,) * stack.input_rank
    try:
        return [*stack.outputs(shape), *stack.outputs(shape, all_layers=True)]
    except RnncliError:
        return []


_BREAK = re.compile(r"[@=:]+")
_FLAG = re.compile(r"-{1,2}[\w-]+")


def join_words(pieces: Sequence[str], current: int) -> tuple[list[str], int]:
    """Join pieces of words: `--hold forget = 1` is `--hold forget=1`, `--layer @ f` is `--layer @f`.

    pieces: as in COMP_WORDS.  Bash does not say which were adjacent; only after a flag, `@` starts a word.
    current: the index of the unfinished piece.  Returns the words, and the index of the unfinished word.
    """
    words: list[str] = []
    places: list[int] = []
    glue = False
    for piece in pieces if current < len(pieces) else [*pieces, ""]:
        breaks = bool(_BREAK.fullmatch(piece))
        starts = not words or (piece.startswith("@") and bool(_FLAG.fullmatch(words[-1])))
        if words and (glue or (breaks and not starts)):
            words[-1] += piece
        else:
            words.append(piece)
        places.append(len(words) - 1)
        glue = breaks
    return words, places[min(current, len(places) - 1)]


def _join_typed(environment: MutableMapping[str, str]) -> str:
    """Join the words in COMP_WORDS, one per line as Typer's script sends them, and set COMP_CWORD to match.

    Returns the unfinished word, as it was typed.
    """
    pieces = environment.get("COMP_WORDS", "").split("\n")
    current = environment.get("COMP_CWORD", "")
    if len(pieces) == 1 or not current.isdecimal():
        return ""
    words, index = join_words(pieces, int(current))
    environment["COMP_WORDS"], environment["COMP_CWORD"] = "\n".join(words), str(index)
    return words[index]


def _kept(word: str) -> tuple[str, str]:
    """Return the part of a typed word that bash keeps, without quotes, and the quotation mark still open.

    Bash replaces what follows the last `@`, `=` or `:` that is not quoted, or a quotation mark that is open.
    """
    value = start = opened = mark = ""
    chars = iter(word)
    for char in chars:
        if char == "\\" and mark != "'":
            value += next(chars, "")
        elif char == mark:
            mark = ""
        elif char in "\"'" and not mark:
            mark, opened = char, value
        else:
            value += char
            start = value if char in "@=:" and not mark else start
    return opened if mark else start, mark


def for_bash(lines: Sequence[str], typed: str) -> str:
    """Return what bash puts in the place of the unfinished word, one per line, escaped so that it is literal.

    Inside an open quotation, the quotation is closed before a special character and opened again after it.
    """
    typed = re.sub(r"^--[\w-]+=", "", typed)  # the lines continue the value of a flag
    start, mark = _kept(typed)
    special = r"[$`\"'\\!*?\[\]]" if mark else r"[^\w@%+=:,./#-]"
    if typed.startswith("~"):  # a home directory
        special = rf"(?!^~){special}"
    words = (re.sub(special, rf"{mark}\\\g<0>{mark}", line.removeprefix(start)) for line in lines)
    return "".join(f"{word}\n" for word in words)


def for_zsh(lines: Sequence[str]) -> str:
    """Return the code that offers `word` or `word TAB help`, one per line; Typer's script evaluates it.

    The shell splits this code at spaces before it evaluates it, so the words are written without any.
    """
    words = []
    for line in lines:
        word, tab, text = (part.replace("\\", r"\\") for part in line.partition("\t"))
        offer = word.replace(":", r"\:") + (f":{text}" if tab else "")
        words.append("$'" + re.sub(r"[\s\\']", lambda char: f"\\x{ord(char[0]):02x}", offer) + "'")
    return f"local -a rnncli=({' '.join(words)}); _describe '' rnncli" if words else "_files"
