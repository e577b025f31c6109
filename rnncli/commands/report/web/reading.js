// How to read the picture: the key of its colors, and sentences.

import { make, rich } from "./dom.js";
import { lineColor } from "./explain.js";

// The equations of which the legend says more.
const LSTM_CELL = "forget ⊙ cell[t-1] + input ⊙ candidate";
const GRU_HIDDEN = "update ⊙ h + (1 - update) ⊙ candidate";

/** Return in which order the steps are read, where it is not from the first to the last. */
function orderOfSteps({ say, layer }, last) {
  const { forward, backward } = layer.halves;
  if (layer.flags.bidirectional && !forward.backwards && backward.backwards) {
    return say(
      "The forward layer reads from t=0 to t={last}, the backward layer from t={last} to t=0: its last state is at t=0.",
      { last },
    );
  }
  return forward.backwards ? say("It reads backwards, from t={last} to t=0.", { last }) : "";
}

/** Return the color key: what is in the picture, and no more. */
export function colorKey({ say, chain, model }) {
  const cells = chain.flatMap((layer) => model.halvesOf(layer).map((half) => layer.halves[half].cell));
  const kinds = new Set(cells.flatMap((cell) => [...cell.traced, ...cell.states].map((line) => lineColor(cell, line))));
  const names = {
    gate: say("gate, 0 to 1"),
    candidate: say("candidate"),
    cell: say("cell state"),
    hidden: say("hidden state"),
    input: say("input"),
    below: say("below 0"),
    changed: say("just changed"),
  };
  const shown = Object.entries(names).filter(
    ([kind]) => kinds.has(kind) || ["input", "below", "changed"].includes(kind),
  );
  return make(
    "p.key",
    shown.map(([kind, name]) => make(`span.${kind}`, make("i"), name)),
  );
}

/** Return the lines that say how to read the picture. */
export function readingLines(page) {
  const { say, model, layer } = page;
  const [, steps, features] = model.root(layer).x.shape;
  const count = model.tensors(layer).length;
  const single = features === 1 ? "Reads 1 time step of 1 number." : "Reads 1 time step of {features} numbers.";
  const several =
    features === 1
      ? "Reads {steps} time steps of 1 number, one after the other."
      : "Reads {steps} time steps of {features} numbers, one after the other.";
  const reads = say(steps === 1 ? single : several, { steps, features });
  const returns = say(count === 1 ? "It returns 1 tensor." : "It returns {count} tensors.", { count });
  const first = [reads, orderOfSteps(page, steps - 1), returns].filter(Boolean).join(" ");
  return [first, ...legend(page)].map((text) => make("p", rich(text)));
}

function legend({ say, layer }) {
  const { cell } = layer.halves.forward;
  const { units, traced, symbols } = cell;
  const areGates = (...lines) => lines.every((line) => traced.includes(line) && lineColor(cell, line) === "gate");
  const isLstm = symbols.cell === LSTM_CELL && areGates("input", "forget", "output");
  const isGru = symbols.hidden === GRU_HIDDEN && areGates("update", "reset");
  const drawsCandidate = traced.includes("candidate") && !("candidate" in cell.sameAs);
  const text = (words) => say(words, { units });
  const gates = traced.filter((line) => areGates(line));
  const several =
    gates.length && gates.every((line) => cell.sizes[line] === units) // a gate may have 1 number for all units
      ? "Each column is one time step. With {units} units, every gate and state has {units} numbers."
      : "Each column is one time step. With {units} units, every state has {units} numbers.";
  const columns = text(units === 1 ? "Each column is one time step. With 1 unit, every state has 1 number." : several);
  const memory = text(
    "Each step passes on its memory, the [[cell:cell state]], and its answer, the [[hidden:hidden state]].",
  );
  const answer = text("Each step passes on its answer, the [[hidden:hidden state]].");
  const states = text("Each step passes on the [[hidden:hidden state]] and the other states on the arrows.");
  const bars = [
    isLstm &&
      text(
        "[[gate:Green bars]] are gates from 0 (nothing) to 1 (all): forget says how much of the old memory stays, input how much of the candidate is written into it, output how much of it becomes the answer.",
      ),
    isGru &&
      text(
        "[[gate:Green bars]] are gates from 0 (nothing) to 1 (all): update says how much of the old hidden state stays, reset how much of it the candidate reads.",
      ),
    drawsCandidate && text("[[candidate:Pink bars]], blue below 0, are the candidate: what could be written."),
  ];
  const drag = text(
    layer.source === null
      ? "**Drag an input number left or right; choose any number or bar to see its equation.** [[input:Orange bars]]: how much the number depends on that input. [[changed:Yellow frame]]: just changed."
      : "**Choose any number or bar to see its equation.** Input x is what the layer below returns: drag numbers in the lowest layer. [[changed:Yellow frame]]: just changed.",
  );
  const passesOn = isLstm ? memory : cell.states.length > 1 ? states : answer;
  return [columns, passesOn, bars.filter(Boolean).join(" "), drag].filter(Boolean);
}
