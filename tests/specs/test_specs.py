"""What is written about a layer, in any form, is the layer that Keras makes of it."""

import json
from typing import Any

import numpy as np
import oracle
import pytest

from rnncli import compute, layers, specs
from rnncli.commands.shape import outline
from rnncli.errors import LayerError
from rnncli.layers.case import Case
from rnncli.layers.plain import LAYERS as PLAIN_LAYERS
from rnncli.layers.stack import Stack
from rnncli.values import Spec

keras = oracle.keras
X = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")

EXPRESSIONS = (
    "SimpleRNN(3, activation='relu')",
    "LSTM(3)",
    "LSTM(units=3, return_sequences=True, return_state=True, unit_forget_bias=False)",
    "GRU(2, 'sigmoid', 'hard_sigmoid', reset_after=False, use_bias=False)",
    "GRU(2, kernel_initializer=RandomNormal(stddev=0.5, seed=7), bias_initializer='random_uniform')",
    "keras.layers.LSTM(2, go_backwards=True, zero_output_for_mask=True, dropout=0.1, recurrent_dropout=0.2)",
    "Bidirectional(LSTM(3, return_sequences=True), merge_mode='sum')",
    "Bidirectional(GRU(3), merge_mode=None)",
    "Bidirectional(LSTM(2), backward_layer=GRU(3, go_backwards=True))",
    "RNN([LSTMCell(3), GRUCell(2)], return_state=True)",
    "RNN(LSTMCell(3, recurrent_activation='hard_sigmoid'))",
    "RNN(StackedRNNCells([SimpleRNNCell(2), LSTMCell(3)]))",
    "Dense(2, 'relu', kernel_initializer=Orthogonal(gain=0.5))",
    "Masking(mask_value=0.5)",
    "LSTM(2, kernel_initializer=VarianceScaling(2.0, 'fan_out', 'uniform'), dtype='float64')",
)
STACK = ["Masking()", "LSTM(3, return_sequences=True)", "Bidirectional(GRU(2))", "Dense(1)"]


def numbers(layers: Any, seed: int = 5, engine: str = "auto") -> list[np.ndarray]:
    """What rnncli returns for specs."""
    inputs = X.astype(layers[0].config["dtype"])
    return [tensor.values for tensor in compute.run(Case(Stack(layers), inputs, seed=seed), engine).outputs]


def keras_numbers(make: Any, seed: int = 5, dtype: str = "float32") -> list[np.ndarray]:
    """What Keras returns for the layers that `make` makes."""
    keras.utils.set_random_seed(seed)
    return oracle.call_layers(make(), X.astype(dtype))[-1]


def check_same(ours: Any, theirs: Any) -> None:
    assert [tensor.shape for tensor in ours] == [tensor.shape for tensor in theirs]
    for tensor, expected in zip(ours, theirs, strict=True):
        oracle.check_close(tensor, expected, 4e-6)


def dtype_in(expression: str) -> str:
    return "float64" if "float64" in expression else "float32"


class TestExpressions:
    @pytest.mark.parametrize("expression", EXPRESSIONS)
    @pytest.mark.slow
    def test_mean_what_they_mean_in_a_script_and_so_do_their_descriptions(self, expression: str) -> None:
        spec = specs.build(expression)
        text = specs.describe(spec)
        assert specs.describe(specs.build(text)) == text
        for written in (expression, text):
            theirs = keras_numbers(lambda text=written: oracle.make_layers(text), dtype=dtype_in(expression))
            check_same(numbers((spec,)), theirs)

    @pytest.mark.parametrize(("expression", "text"), [
        ("LSTM(3, activation='tanh', use_bias=True)", "LSTM(3)"),
        ("layers.LSTM(units=3, return_sequences=True)", "LSTM(3, return_sequences=True)"),
        ("bilstm(4, use_bias=False, merge_mode='sum')",
         "Bidirectional(LSTM(4, use_bias=False), merge_mode='sum')"),
        ("Bidirectional(LSTM(3), merge_mode='SUM')", "Bidirectional(LSTM(3), merge_mode='sum')"),
        ("Bidirectional(GRU(3), merge_mode='none')", "Bidirectional(GRU(3), merge_mode=None)"),
        ("GRU(3, bias_initializer=Constant(0.1), dtype='float64')",
         "GRU(3, bias_initializer=Constant(0.1), dtype='float64')"),
        ("ConvLSTM2D(4, (3, 2), padding='same')", "ConvLSTM2D(4, (3, 2), padding='same')"),
        ("TimeDistributed(Dense(3, activation=None))", "TimeDistributed(Dense(3))"),
        ("LSTM(3, name='mine', kernel_regularizer=None)", "LSTM(3)"),
    ])  # fmt: skip
    def test_a_description_says_what_differs_from_the_defaults(self, expression: str, text: str) -> None:
        assert specs.describe(specs.build(expression)) == text

    @pytest.mark.parametrize(("expression", "message"), [
        ("LSTN(3)", "there is no layer 'LSTN'"),
        ("RNN(FooCell(3))", "there is no cell 'FooCell'"),
        ("RNN(StackedRNNCells(LSTMCell(3)))", "StackedRNNCells: cells=LSTMCell(...) is not a list of cells"),
        ("RNN(StackedRNNCells([LSTMCell(2)], 5, foo=3))", "StackedRNNCells takes 1 positional argument"),
        ("RNN(StackedRNNCells([LSTMCell(2)], dtype='float64'))", "StackedRNNCells: dtype is float64"),
        ("Bidirectional(LSTM(3), backward_layer=GRU(4, go_backwards=True), merge_mode='sum')",
         "3 and 4 units"),
        ("Conv1D(3, 2)", "there is no layer 'Conv1D'"),
        ("LSTM()", "LSTM needs units"),
        ("LSTM(3, seed=-1)", "seed=-1 is not a whole number from 0 to 9223372036854775807, or None"),
        (f"Masking({10**400})", "is not a number of 64 bits"),
        ("ConvLSTM2D(4, (1, 3000000000))",
         "is not a whole number from 1 to 2147483647, or one for each axis"),
        ("LSTM(0)", "units=0 is not a whole number above 0"),
        ("LSTM(3, reset_after=True)", "LSTM has no argument 'reset_after'"),
        ("LSTM(3, units=4)", "units is given twice"),
        ("LSTM(3, return_sequences='yes')", "return_sequences='yes' is not True or False"),
        ("LSTM(3, dropout=1.5)", "dropout=1.5 is not a number from 0"),
        ("LSTM(3, activation='tanhh')", "tanhh"),
        ("LSTM(3, kernel_initializer='glorot')", "glorot"),
        ("LSTM(3, dtype='int32')", "unknown dtype 'int32'"),
        ("Bidirectional(Dense(3))", "Dense cannot be run in both directions"),
        ("Bidirectional(LSTM(3), merge_mode='max')", "merge_mode='max' is not known"),
        ("Bidirectional(LSTM)", "Bidirectional needs a layer with arguments, such as LSTM(3), not LSTM"),
        ("Bidirectional(LSTMCell(3))", "layer needs a layer such as LSTM(3), not LSTMCell"),
        ("Bidirectional(LSTM(3), backward_layer=LSTM(3))", "same direction"),
        ("Bidirectional(LSTM(3), backward_layer=GRU(3, go_backwards=True, stateful=True))",
         "differ in stateful"),
        ("RNN(LSTM(3))", "cell needs a cell such as LSTMCell(3), not LSTM"),
        ("RNN([])", "cell is empty"),
        ("TimeDistributed(LSTM(3, return_state=True))", "only one tensor can be stacked"),
        ("TimeDistributed(Bidirectional(GRU(3, return_state=True)))", "also returns states"),
        ("TimeDistributed(Bidirectional(GRU(3), merge_mode=None))", "returns two outputs"),
        ("ConvLSTM2D(4)", "ConvLSTM2D needs kernel_size"),
    ])  # fmt: skip
    def test_that_mean_nothing_are_refused_with_a_caret(self, expression: str, message: str) -> None:
        with pytest.raises(LayerError) as caught:
            specs.build(expression)
        assert message in caught.value.what
        assert "^" in caught.value.what
        assert "Cel" not in message or "LSTMCell" in str(caught.value)


class TestNames:
    @pytest.mark.parametrize(("name", "text"), [
        ("lstm", "LSTM(3)"), ("simple_rnn", "SimpleRNN(3)"), ("SimpleRNN", "SimpleRNN(3)"),
        ("bilstm", "Bidirectional(LSTM(3))"), ("bi_gru", "Bidirectional(GRU(3))"),
        ("BiRNN", "Bidirectional(SimpleRNN(3))"),
    ])  # fmt: skip
    def test_case_and_underscores_do_not_matter(self, name: str, text: str) -> None:
        (spec,) = specs.from_flags([name], {})
        assert specs.describe(spec) == text

    def test_a_named_layer_returns_its_sequence_to_those_that_take_one(self) -> None:
        stack = specs.from_flags(["lstm", "bigru", "dense"], {"units": 2})
        assert [specs.describe(spec) for spec in stack] == [
            "LSTM(2, return_sequences=True)",
            "Bidirectional(GRU(2))",
            "Dense(2)",
        ]
        assert compute.run(Case(stack, X)).outputs[0].values.shape == (2, 2)


class TestFlags:
    @pytest.mark.parametrize(("texts", "flags", "document", "expected"), [
        ([], {}, None, ["LSTM(3)"]),
        (["lstm"], {"units": None, "use_bias": None}, None, ["LSTM(3)"]),  # flags that were not given
        (["Masking()", "dense"], {"activation": "relu"}, None, ["Masking()", "Dense(3, activation='relu')"]),
        (["GRU(2)"], {}, "LSTM(5)", ["GRU(2)"]),
        ([], {"merge_mode": "sum"}, "Bidirectional(LSTM(2))", ["Bidirectional(LSTM(2), merge_mode='sum')"]),
    ])  # fmt: skip
    def test_with_what_is_left_out(self, texts: Any, flags: Any, document: Any, expected: list[str]) -> None:
        assert list(map(specs.describe, specs.from_flags(texts, flags, document))) == expected

    def test_go_to_every_named_layer_that_has_them(self) -> None:
        stack = specs.from_flags(
            ["lstm", "gru"], {"units": 2, "unit_forget_bias": False, "activation": "relu"}
        )
        assert [specs.describe(spec) for spec in stack] == [
            "LSTM(2, activation='relu', unit_forget_bias=False, return_sequences=True)",
            "GRU(2, activation='relu')",
        ]

    def test_mean_what_they_mean_in_a_script(self) -> None:
        flags = {
            "units": 4, "return_state": True, "bidirectional": True, "merge_mode": "ave",
            "kernel_initializer": "RandomNormal(stddev=0.5)",
            "recurrent_initializer": "random_uniform:-0.1:0.1",
        }  # fmt: skip
        text = (
            "Bidirectional(LSTM(4, return_state=True, kernel_initializer=RandomNormal(stddev=0.5), "
            "recurrent_initializer=RandomUniform(-0.1, 0.1)), merge_mode='ave')"
        )
        check_same(
            numbers(specs.from_flags(["lstm"], flags)), keras_numbers(lambda: oracle.make_layers(text))
        )

    def test_seeds_do_not_depend_on_the_order_of_typing(self) -> None:
        first = {"kernel_initializer": "RandomNormal()", "recurrent_initializer": "RandomUniform()"}
        second = dict(reversed(first.items()))
        check_same(*(numbers(specs.from_flags(["lstm"], typed)) for typed in (first, second)))

    def test_win_over_a_document(self) -> None:
        document = ["LSTM(5, return_state=True)", {"class_name": "GRU", "config": {"units": 2}}]
        stack = specs.from_flags([], {"units": 4, "return_sequences": True}, document)
        assert [specs.describe(spec) for spec in stack] == [
            "LSTM(4, return_state=True, return_sequences=True)",
            "GRU(4, return_sequences=True)",
        ]


class TestConfigs:
    @pytest.mark.sampled
    @pytest.mark.parametrize("expression", EXPRESSIONS)
    def test_what_keras_serializes_is_the_same_layer(self, expression: str) -> None:
        config = keras.layers.serialize(oracle.make_layers(expression)[0])
        theirs = keras_numbers(lambda: oracle.make_layers(config), dtype=dtype_in(expression))
        check_same(numbers((specs.build(config),)), theirs)

    def test_the_config_of_a_whole_model_is_refused(self) -> None:
        model = keras.Sequential([keras.Input((4, 3)), *oracle.make_layers(*STACK)])
        graph = keras.Model(model.inputs, model.outputs)
        for keras_model in (model, graph):
            config = keras.saving.serialize_keras_object(keras_model)
            for written in (config, json.loads(keras_model.to_json())):
                with pytest.raises(LayerError, match=r"(?s)is a whole model.*run INPUT --model m\.keras"):
                    specs.from_flags([written], {})

    @pytest.mark.parametrize("expression", [*EXPRESSIONS, "ConvLSTM1D(2, 3)", "TimeDistributed(Dense(2))"])
    def test_ours_is_one_that_keras_reads(self, expression: str) -> None:
        spec = specs.build(expression)
        config = specs.to_config(spec)
        assert specs.to_config(specs.build(config)) == config
        layer = keras.layers.deserialize(config)
        original = oracle.make_layers(expression)[0]
        assert type(layer) is type(original)
        assert plain(layer.get_config()) == plain(original.get_config())

    def test_spec_of_a_config_is_deferred_and_one_of_an_expression_is_not(self) -> None:
        expression = "LSTM(2, kernel_initializer=RandomNormal())"
        config = keras.layers.serialize(oracle.make_layers(expression)[0])
        initializers: list[Spec] = [
            specs.build(written).config["kernel_initializer"] for written in (expression, config)
        ]
        assert [spec.deferred for spec in initializers] == [False, True]


def plain(config: Any) -> Any:
    """A Keras config without the names that Keras numbers by itself."""
    if isinstance(config, dict):
        return {key: plain(value) for key, value in config.items() if key not in ("name", "build_config")}
    return [plain(item) for item in config] if isinstance(config, (list, tuple)) else config


class TestStacksInOneText:
    @pytest.mark.parametrize("text", [
        "[LSTM(3, return_sequences=True), GRU(3)]", "lstm, gru",
        "Sequential([Input((4, 5)), LSTM(3, return_sequences=True), GRU(3)])",
    ])  # fmt: skip
    def test_is_a_stack(self, text: str) -> None:
        stack = specs.from_flags([text], {})
        assert [specs.describe(spec) for spec in stack] == ["LSTM(3, return_sequences=True)", "GRU(3)"]

    def test_a_kernel_larger_than_its_input(self) -> None:
        with pytest.raises(LayerError, match="covers 30, but the input has only 8"):
            outline(specs.from_flags(["ConvLSTM2D(2, 30)"], {}), (1, 2, 8, 8, 1))


def test_every_layer_that_works_only_in_a_saved_model_works_there() -> None:
    for name in sorted(PLAIN_LAYERS.keys() - layers.LAYERS.keys()):
        with pytest.raises(LayerError, match=f"{name} works only in a saved model: rnncli run INPUT --model"):
            specs.build(name.casefold())


def test_a_list_of_expressions_belongs_to_who_asked_for_it() -> None:
    """A document may be changed by its reader; the next one of the same layers is whole."""
    stack = specs.from_flags(["LSTM(3)", "GRU(2)"], {})
    written = specs.expression_of(stack)
    assert isinstance(written, list)
    written.clear()
    assert specs.expression_of(stack) == ["LSTM(3)", "GRU(2)"]
