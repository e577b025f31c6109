// The play: the steps of the drawn layer one after the other, and in each step its lines in the order of computation.

// Milliseconds at a line, at a step that is shown as a whole, and at each of many steps.
const AT_LINE = 420;
const AT_STEP = 900;
const AT_ONE_OF_MANY = 250;
const MANY = 12;

/** A play of the drawn half.  at: which step it is at, in the order in which steps are read; line: as far as which line. */
export class Play {
  constructor(page) {
    this.page = page;
    this.isOn = false;
  }

  toggle() {
    if (this.isOn) this.stop();
    else this.start();
  }

  start() {
    const { page } = this;
    const { layer, half } = page;
    const { order } = page.done(layer).halves[half];
    const lines = layer.halves[half].cell.lines.length;
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches || order.length > MANY;
    Object.assign(this, { isOn: true, order, lines, isCalm, at: -1, line: lines });
    this.pause = order.length > MANY ? AT_ONE_OF_MANY : isCalm ? AT_STEP : AT_LINE;
    this.tick();
  }

  /** Go on to the next line, or to the next step. */
  tick() {
    this.line += 1;
    if (this.line < this.lines) this.page.update();
    else {
      this.at += 1;
      this.line = this.isCalm ? this.lines : 0;
      if (this.at === this.order.length) {
        this.stop();
        return;
      }
      this.page.moveTo(this.order[this.at]);
    }
    this.timer = setTimeout(() => this.tick(), this.pause);
  }

  stop() {
    if (!this.isOn) return;
    clearTimeout(this.timer);
    this.isOn = false;
    this.page.showStep();
    this.page.update();
  }

  /** Return whether the play has come as far as a line at a step: of a layer below always, of one above never. */
  hasReached({ layer, half, line, step }) {
    if (!this.isOn) return true;
    const { chain, layer: played } = this.page;
    const above = chain.indexOf(layer) - chain.indexOf(played);
    if (above !== 0) return above < 0;
    const read = this.page.done(layer).halves[half].order.indexOf(step);
    const computed = layer.halves[half].cell.lines.findIndex(([name]) => name === line);
    return read < this.at || (read === this.at && computed <= this.line);
  }
}
