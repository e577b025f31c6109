"""What every subject has, whether it is a description of layers, a saved model, or another kind.

A command asks its subject, and never which kind it is.
"""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rnncli.ask.request import Ask, Remarks
from rnncli.errors import Message, RnncliError, Text, UsageError
from rnncli.values import Document, Shape

if TYPE_CHECKING:
    from rnncli.ask.alone import Batch
    from rnncli.ask.lines import Answers, NewRemarks
    from rnncli.ask.returned import Alone, Returned
    from rnncli.compute.compare import TolerancePair
    from rnncli.layers.case import Case
    from rnncli.layers.stack import Stack
    from rnncli.models import LayerUse, Passed
    from rnncli.models.live.tape import InputGradients
    from rnncli.models.summary import Summary
    from rnncli.models.weights import LayerWeights
    from rnncli.result import Label, ModelHead, NamedTensor, Result

Bounds = tuple[float, float] | None
"""The least and the greatest value that a tensor can have; None if it has no limits."""


class WholeGradients(NamedTuple):
    """Gradients through a whole model, and what the head of their answer says of it.

    is_forward: whether every recurrent layer reads forward.
    """

    head: "ModelHead"
    gradients: "InputGradients"
    is_forward: bool
    remarks: Remarks


Reference = Callable[["Parts", "Result", "TolerancePair", "int | None"], tuple["Result", Remarks]]
"""Compares what these layers return with the framework's.  The last argument: bytes for one chunk."""


class Parts(NamedTuple):
    """The recurrent layers that a command is about, in order.

    head: what an answer about several layers says of their model; None for one layer, whose tensors have
        their names in the layer.
    prefix: what the names of tensors begin with in a model, `gru/`, if an address chose the layer.
    """

    uses: "Sequence[LayerUse]"
    remarks: Remarks
    reference: Reference
    head: "ModelHead | None" = None
    prefix: str = ""

    @property
    def case(self) -> "Case":
        """The Case of the only layer, or of the first."""
        return self.uses[0].case

    def bounds(self) -> "Mapping[Label, Bounds]":
        """Return the limits of the tensors of the layers, by their labels in the model."""
        from rnncli.compute import trace

        return {
            label._replace(layer=use.layer) if use.layer else label: limits
            for use in self.uses
            for label, limits in trace.tensor_bounds(
                use.case.stack, use.case.inputs.shape, all_layers=use.case.all_layers
            ).items()
        }

    def verify(
        self, result: "Result", tolerances: "TolerancePair | None", budget: int | None = None
    ) -> "tuple[Result, Remarks]":
        """Compare a result with the run without --hold; and for --check with the framework.

        result: of the only layer, or the joined one of all.  tolerances: of --check; None without it.
        budget: bytes for one chunk.
        """
        if self.head is None and self.case.hold:
            from rnncli.compute import holds

            result = holds.compare_without(self.case, result, budget)
        if tolerances is None:
            return result, ()
        from rnncli.compute.compare import require_known

        require_known(tolerances, [tensor.name for tensor in result.outputs])
        return self.reference(self, result, tolerances, budget)

    def keep_able(self, refusal: "Callable[[Case], Text | None]") -> "Parts":
        """Return the layers that a command can show, and a remark on each of the others.

        refusal: a sentence, why the command cannot show a layer; None if it can.  If it can show none, all
            layers are returned.
        """
        refusals = {use.layer: why for use in self.uses if (why := refusal(use.case))}
        if self.head is None or len(refusals) == len(self.uses):
            return self
        remarks = (Message("skipped {names}: {what}", names=name, what=why) for name, why in refusals.items())
        uses = [use for use in self.uses if use.layer not in refusals]
        head = self.head._replace(layers={use.layer: self.head.layers[use.layer] for use in uses})
        return self._replace(uses=uses, remarks=(*self.remarks, *remarks), head=head)


class Computed(NamedTuple):
    """What the subject returns, which is computed as `results` are taken.

    results: one for each chunk of the batch; `join_results` joins them.
    batch: number of sequences.  chunks: number of results.
    """

    parts: Parts
    results: "Iterator[Result]"
    batch: int
    chunks: int = 1


class Whole(NamedTuple):
    """All layers of a model, each of which reads the one before.  names: of the layers, first to last."""

    names: tuple[str, ...]
    case: "Case"
    remarks: Remarks


class Outline(NamedTuple):
    """The layers, the shape of their input, and the document that was read for them, if any.

    where: the name of the document in errors.
    """

    stack: "Stack"
    shape: Shape
    remarks: Remarks
    document: Document = Document()
    where: Text = ""


class Subject(ABC):
    """What is asked about.  Nothing is read before one of its methods is called.

    fixed_layers: whether its layers cannot be changed, only what they return.
    """

    fixed_layers: ClassVar[bool] = False

    def __init__(self, ask: Ask) -> None:
        self.ask = ask

    def require_able(self, **given: object) -> None:
        """Raise UsageError for an option that this kind does not take; None is not given."""
        return

    def layer_names(self) -> tuple[str, ...]:
        """Return the names of the recurrent layers of which one can be chosen; none if there is no choice."""
        return ()

    def of_layer(self, name: str = "") -> "Subject":
        """Return the subject of a layer; without a name, of the layer asked for, or of the first."""
        return self

    def with_seed(self, seed: int) -> "Subject":
        """Return the subject with this seed, if it draws numbers and nothing else gives a seed."""
        return self

    @abstractmethod
    def outline(self) -> Outline:
        """Return the layers and the shape of their input without computing; unknown sizes stay None."""

    def summary(self) -> "Summary | None":
        """Return every layer of a whole model, without computing; None if `outline` has all there is."""
        return None

    def weights(self) -> "LayerWeights":
        """Return the weights of every layer of a model, in Keras's layout; {} for described layers."""
        return {}

    @abstractmethod
    def parts(
        self, address: str = "", *, alone: bool = False, one_call: bool = False, whole: bool = False
    ) -> Parts:
        """Return the Case of every recurrent layer that is asked about.  Layers that are described are one.

        address: of a number, `gru/last_hidden_state[0,3]`, which may choose the layer.
        alone: raise UsageError for several layers: the command takes one.
        one_call: no remarks on --calls: the command refuses several calls, or makes them itself.
        whole: raise LayerError if a layer that has or may have recurrent weights would be left out unasked.
        """

    def left_out(self) -> tuple[str, ...]:
        """Return what a model has besides the layers of `parts`: `dense (Dense)`; none if one is named."""
        return ()

    def chain(self) -> Whole | None:
        """Return a model as one Case; None where it is not a chain of layers that can be described."""
        return None

    @abstractmethod
    def compute(self, budget: int | None = None) -> Computed:
        """Return what the subject returns.  budget: bytes for one chunk; None for the default."""

    def passed(self, uses: "Sequence[LayerUse]") -> "Sequence[Passed]":
        """Return the layers that numbers went through, in order.  uses: of what was computed."""
        from rnncli.ask.passage import pass_case

        return [layer for use in uses for layer in pass_case(use.layer, use.case)]

    @property
    def follows(self) -> bool:
        """Whether its layers can get what the layers of another subject get: a file without a graph."""
        return False

    def returned(self, like: "Returned | None" = None, mapping: Mapping[str, str] = {}) -> "Returned":
        """Return everything that its recurrent layers return, and the outputs of a model.

        like: what another subject returned, whose inputs this subject gets instead of its own.
        mapping: the other subject's layers by the layers of this one, where order and shapes do not tell.
        """
        from rnncli.ask.returned import compute_uses
        from rnncli.compute import run
        from rnncli.specs import expressions_of

        if like is not None:
            (inputs,) = like.inputs.values()
            return type(self)(self.ask._replace(input=inputs, mask=like.mask)).returned()
        parts = self.parts(one_call=True)
        name = " -> ".join(expressions_of(parts.case.stack))
        return compute_uses(name, parts.uses, partial(run, engine=self.ask.engine), None, parts.remarks)

    def everything(self) -> "tuple[NamedTensor, ...]":
        """Return every tensor that the layers can return, of a model of every layer; () if that fails."""
        from rnncli.ask.returned import EVERYTHING
        from rnncli.compute import join_results

        try:
            if not self.fixed_layers:
                return tuple(tensor for tensors in self.returned().layers.values() for tensor in tensors)
            ask = self.ask._replace(all_layers=True, options={**self.ask.options, **EVERYTHING})
            computed = type(self)(ask).compute()
            return join_results(computed.results, computed.batch).outputs
        except RnncliError:
            return ()

    def batch(self) -> "Batch":
        """Return the batch, of which each layer gets one sequence alone as it gets it in the batch."""
        from rnncli.ask.alone import Batch
        from rnncli.ask.returned import compute_uses
        from rnncli.compute import run
        from rnncli.models import LayerUse

        whole = self.returned()
        whole.require_layers()
        computing = partial(run, engine=self.ask.engine)

        def call(index: int, cut: bool) -> "Alone":
            sequence = whole.of_sequence(index, cut=cut)
            uses = [LayerUse(name, case) for name, case in sequence.cases.items()]
            return compute_uses(whole.name, uses, computing, sequence.inputs, ()).alone

        remarks: Remarks = ()
        if self.fixed_layers and len(whole.cases) > 1:
            text = (
                "each recurrent layer is computed alone for what it gets in the batch; other layers are not"
            )
            remarks = (Message(text),)
        return Batch.of_layers(whole, whole.batch, call, lambda: remarks)

    def differentiate(self, batch: int) -> "WholeGradients | None":
        """Return the gradients from its output to its input; None if the chain rule follows its layers.

        Raises UsageError for a file: many of its operations have no rule for gradients.
        """
        if self.fixed_layers:
            what = "{--whole} is for live models and described layers, and {--model:file} is a file."
            advice = "Load it in Python and hand over the object: rnncli.gradients(x, model, whole=True)"
            raise UsageError(what, advice, file=self.ask.model)
        return None

    @abstractmethod
    def lines(self, remarks: "NewRemarks") -> "Answers":
        """Return what answers the lines of a stream, and adds its remarks on them."""
