// How to read the picture: the key of its colors, and sentences.

import { inBoth, make, rich } from "./dom.js";
import { lineColor } from "./explain.js";

// The equations of which the legend says more.
const LSTM_CELL = "forget ⊙ cell[t-1] + input ⊙ candidate";
const GRU_HIDDEN = "update ⊙ h + (1 - update) ⊙ candidate";

/** Return in which order the steps are read, where it is not from the first to the last. */
function orderOfSteps({ say, layer }, last) {
  const { forward, backward } = layer.halves;
  if (layer.flags.bidirectional && !forward.backwards && backward.backwards) {
    return say("Backward reads from t={last} to t=0: its last state is at t=0.", { last });
  }
  return forward.backwards ? say("It reads backwards, from t={last} to t=0.", { last }) : "";
}

/** Return the color key: what is in the picture, and no more.  A click on a color says what it stands for. */
export function colorKey(page) {
  const { say, chain, model } = page;
  const cells = chain.flatMap((layer) => model.halvesOf(layer).map((half) => layer.halves[half].cell));
  const kinds = new Set(cells.flatMap((cell) => [...cell.traced, ...cell.states].map((line) => lineColor(cell, line))));
  const names = {
    gate: [say("gate, 0 to 1"), say("How much of each number passes: 0 nothing, 1 all of it.")],
    candidate: [inBoth(say, "candidate"), say("The new value that could be written into the state.")],
    cell: [say("cell state"), say("What the layer remembers from one step to the next.")],
    hidden: [say("hidden state"), say("The layer's answer. The step read next uses it, too.")],
    input: [
      say("input"),
      say("What the layer reads at a step. An orange bar: how much the chosen number depends on it."),
    ],
    below: [say("below 0"), say("A number below 0 is blue, whatever it is.")],
    changed: [say("just changed"), say("The last change moved this number.")],
  };
  const shown = Object.entries(names).filter(
    ([kind]) => kinds.has(kind) || ["input", "below", "changed"].includes(kind),
  );
  return make(
    "p.key",
    shown.map(([kind, [name, text]]) => {
      const onclick = () => page.show({ about: { kind, name, text } });
      return make(`button.${kind}`, { key: `key-${kind}`, onclick }, make("i"), name);
    }),
  );
}

/** Return the lines that say how to read the picture. */
export function readingLines(page) {
  const { say, model, layer } = page;
  const { cell } = layer.halves.forward;
  const { traced, symbols } = cell;
  const [, steps] = model.root(layer).x.shape;
  const areGates = (...lines) => lines.every((line) => traced.includes(line) && lineColor(cell, line) === "gate");
  const isLstm = symbols.cell === LSTM_CELL && areGates("input", "forget", "output");
  const isGru = symbols.hidden === GRU_HIDDEN && areGates("update", "reset");
  const bars = [
    (isLstm || isGru) && say("[[gate:Green bars]] are gates, 0 (nothing) to 1 (all):"),
    isLstm &&
      say(
        "forget: how much memory stays; input: how much of the candidate is written; output: how much becomes the answer.",
      ),
    isGru && say("update: how much of the old state stays; reset: how much of it the candidate reads."),
    traced.includes("candidate") &&
      !("candidate" in cell.sameAs) &&
      say("[[candidate:Pink bars]], blue below 0: the candidate, what could be written."),
  ];
  const isRoot = layer.source === null;
  const first = [
    say("**Choose a number to see its equation.**"),
    isRoot
      ? say("Drag an input left or right.")
      : say("Input x is what the layer below returns: drag in the lowest layer."),
    orderOfSteps(page, steps - 1),
    isRoot && say("[[input:Orange bars]]: how much the number depends on an input."),
  ];
  return [first, bars].map((texts) => make("p", rich(texts.filter(Boolean).join(" "))));
}
