// Answers about pages without a browser: reads [{data, addresses}] from standard input, writes what each returns.

import { readFileSync } from "node:fs";
import { explain } from "../../../rnncli/commands/report/web/explain.js";
import { Model } from "../../../rnncli/commands/report/web/layer.js";
import { caseOf, commandOf, documentOf } from "../../../rnncli/commands/report/web/settings.js";

const spell = (_, value) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value);

/** Return [address, value shown, value there] of each number that the explanation of a number opens. */
function opened(model, address) {
  const { from, value, tokens } = explain(model, address);
  const shown = [{ address: from, value }, ...tokens].filter((token) => token.address);
  return shown.map((token) => [token.address, token.value, model.value(token.address)]);
}

const answers = JSON.parse(readFileSync(0, "utf8")).map(({ data, addresses }) => {
  const model = new Model(data);
  const [drawn] = model.shown;
  return {
    returned: model.returned(),
    gradients: addresses.map((address) => model.gradientByInput(address)),
    opened: addresses.map((address) => opened(model, address)),
    explained: addresses.map((address) => explain(model, address)),
    document: documentOf(model, drawn),
    case: caseOf(model, drawn),
    command: commandOf(model, drawn),
  };
});
process.stdout.write(JSON.stringify(answers, spell));
