"""How many parameters does a layer have?"""

from math import prod
from random import Random

from rnncli import specs
from rnncli.case import sizes
from rnncli.commands.tour import grading
from rnncli.commands.tour.exam import Exercise
from rnncli.commands.tour.lesson import Text
from rnncli.renderers.page import View

TITLE = Text("the number of parameters", "매개변수의 수")
LAYERS = ("SimpleRNN({})", "LSTM({})", "GRU({})", "GRU({}, reset_after=False)", "LSTM({}, use_bias=False)")
TASK = Text(
    "How many parameters (weights) does this layer have if each time step has {features} features?\n  "
    "{layer}",
    "시점마다 특성이 {features}개일 때 다음 층의 매개변수(가중치)는 모두 몇 개일까요?\n  {layer}",
)
HINT = Text(
    "Each gate has a kernel (features, units), a recurrent kernel (units, units) and a bias (units). "
    "SimpleRNN has 1 of them, GRU 3, LSTM 4; with reset_after=True, GRU's default, there are two biases.",
    "게이트마다 kernel (특성, 유닛), recurrent_kernel (유닛, 유닛), bias (유닛)가 있습니다. SimpleRNN은 "
    "1벌, GRU는 3벌, LSTM은 4벌입니다. GRU의 기본값인 reset_after=True이면 bias가 두 배입니다.",
)


def make(random: Random, view: View) -> Exercise:
    """Draw a layer and the number of features."""
    layer, features = random.choice(LAYERS).format(random.randint(2, 40)), random.randint(2, 20)
    shapes = specs.from_flags([layer], {}).layers[0].weight_shapes((None, None, features))
    count = sum(prod(sizes(shape)) for shape in shapes.values())
    facts = {"layer": layer, "features": str(features)}
    return Exercise(TASK, (), grading.Count(count), "12345", HINT, facts)
