// Keras's activations, each with its derivative: [value(x), slope(y, x)], y being the value at x.
// At a corner, such as relu's at 0, the derivative is TensorFlow's.

const SELU_SCALE = 1.0507009873554805;
const SELU_BELOW = 1.7580993408473766;
// TensorFlow stores these two as float32.
const LEAK = 0.20000000298023224;
const ROOT_OF_HALF = 0.7071067690849304;

export const clip = (x, low, high) => (x < low ? low : x > high ? high : x);
const within = (x, low, high) => (x >= low && x <= high ? 1 : 0);
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
// The logarithm of 1 + exp(x), without overflow.
const softplus = (x) => (x > 0 ? x : 0) + Math.log1p(Math.exp(-Math.abs(x)));
const positive = (x) => (x > 0 || Number.isNaN(x) ? x : 0);
const negative = (x) => (x < 0 || Number.isNaN(x) ? x : 0);

/**
 * The complementary error function, by its series near 0, whose terms are all of one sign, and by its continued
 * fraction elsewhere (Abramowitz and Stegun 7.1.6 and 7.1.14).
 */
function erfc(x) {
  if (Number.isNaN(x)) return x;
  const size = Math.abs(x);
  let tail = 0;
  if (size < 3) {
    let term = size;
    let sum = size;
    for (let n = 1; term > sum * 1e-17; n++) {
      term *= (2 * size * size) / (2 * n + 1);
      sum += term;
    }
    tail = 1 - (2 / Math.sqrt(Math.PI)) * Math.exp(-size * size) * sum;
  } else if (size < 30) {
    let fraction = size;
    for (let n = 60; n > 0; n--) fraction = size + n / 2 / fraction;
    tail = Math.exp(-size * size) / Math.sqrt(Math.PI) / fraction;
  }
  return x < 0 ? 2 - tail : tail;
}

const hardSlope = (x) => (x > -3 && x < 3 ? 1 / 6 : 0);

export const ACTIVATIONS = {
  linear: [(x) => x, () => 1],
  tanh: [Math.tanh, (y) => 1 - y * y],
  sigmoid: [sigmoid, (y) => y * (1 - y)],
  hard_sigmoid: [(x) => clip(x + 3, 0, 6) / 6, (_, x) => hardSlope(x)],
  hard_sigmoid_keras2: [(x) => clip(0.2 * x + 0.5, 0, 1), (_, x) => 0.2 * within(0.2 * x + 0.5, 0, 1)],
  relu: [positive, (_, x) => (x > 0 ? 1 : 0)],
  relu6: [(x) => clip(x, 0, 6), (_, x) => (x > 0 && x < 6 ? 1 : 0)],
  leaky_relu: [(x) => (x > 0 ? x : LEAK * x), (_, x) => (x > 0 ? 1 : LEAK)],
  elu: [(x) => (x < 0 ? Math.exp(x) - 1 : x), (y) => (y < 0 ? y + 1 : 1)],
  selu: [
    (x) => (x < 0 ? SELU_BELOW * (Math.exp(x) - 1) : SELU_SCALE * x),
    (y) => (y < 0 ? y + SELU_BELOW : SELU_SCALE),
  ],
  celu: [(x) => positive(x) + Math.expm1(negative(x)), (_, x) => (x >= 0 ? 1 : 0) + (x <= 0 ? Math.exp(x) : 0)],
  gelu: [
    (x) => 0.5 * x * erfc(-ROOT_OF_HALF * x),
    (y, x) => (x === 0 ? 0.5 : y / x) + x * Math.exp(-((ROOT_OF_HALF * x) ** 2)) * (ROOT_OF_HALF / Math.sqrt(Math.PI)),
  ],
  silu: [(x) => x * sigmoid(x), (_, x) => sigmoid(x) * (1 + x * (1 - sigmoid(x)))],
  hard_silu: [(x) => x * (clip(x + 3, 0, 6) / 6), (_, x) => clip(x + 3, 0, 6) / 6 + x * hardSlope(x)],
  mish: [
    (x) => x * Math.tanh(softplus(x)),
    (_, x) => Math.tanh(softplus(x)) + x * (1 - Math.tanh(softplus(x)) ** 2) * sigmoid(x),
  ],
  softplus: [softplus, (_, x) => sigmoid(x)],
  softsign: [(x) => x / (Math.abs(x) + 1), (_, x) => 1 / (Math.abs(x) + 1) ** 2],
  squareplus: [(x) => (x + Math.sqrt(x * x + 4)) / 2, (_, x) => (1 + x / Math.sqrt(x * x + 4)) / 2],
  exponential: [Math.exp, (y) => y],
  hard_tanh: [(x) => clip(x, -1, 1), (_, x) => within(x, -1, 1)],
  tanh_shrink: [(x) => x - Math.tanh(x), (_, x) => Math.tanh(x) ** 2],
  hard_shrink: [(x) => (Math.abs(x) > 0.5 ? x : 0), (_, x) => (Math.abs(x) > 0.5 ? 1 : 0)],
  soft_shrink: [(x) => (x > 0.5 ? x - 0.5 : x < -0.5 ? x + 0.5 : 0), (_, x) => (Math.abs(x) > 0.5 ? 1 : 0)],
  sparse_plus: [
    (x) => (x <= -1 ? 0 : x < 1 ? 0.25 * (x + 1) ** 2 : x),
    (_, x) => (x <= -1 ? 0 : x < 1 ? (x + 1) / 2 : 1),
  ],
  sparse_sigmoid: [(x) => clip(0.5 * (x + 1), 0, 1), (_, x) => (x > -1 && x < 1 ? 0.5 : 0)],
  log_sigmoid: [(x) => -softplus(-x), (_, x) => sigmoid(-x)],
};

// Functions with numbers in their formula, as ONNX has them: (x, alpha, beta) and its derivative.
const PARAMETRIC = {
  affine: [(x, alpha, beta) => alpha * x + beta, (_, __, alpha) => alpha],
  elu: [(x, alpha) => (x < 0 ? alpha * (Math.exp(x) - 1) : x), (_, x, alpha) => (x < 0 ? alpha * Math.exp(x) : 1)],
  hard_sigmoid: [
    (x, alpha, beta) => clip(alpha * x + beta, 0, 1),
    (_, x, alpha, beta) => alpha * within(alpha * x + beta, 0, 1),
  ],
  leaky_relu: [(x, alpha) => (x < 0 ? alpha * x : x), (_, x, alpha) => (x < 0 ? alpha : 1)],
  scaled_tanh: [
    (x, alpha, beta) => alpha * Math.tanh(beta * x),
    (_, x, alpha, beta) => alpha * beta * (1 - Math.tanh(beta * x) ** 2),
  ],
  thresholded_relu: [(x, alpha) => (x < alpha ? 0 : x), (_, x, alpha) => (x >= alpha ? 1 : 0)],
};

/** Return [value, slope] of an activation by its name, which may have numbers: `leaky_relu[alpha=0.01, clip=3]`. */
export function activation(name) {
  const parts = /^(\w+)\[(.+)\]$/.exec(name);
  if (!parts) return ACTIVATIONS[name];
  const numbers = Object.fromEntries(parts[2].split(", ").map((part) => part.split("=")));
  const [alpha, beta, most] = ["alpha", "beta", "clip"].map((key) =>
    key in numbers ? Math.fround(Number(numbers[key])) : undefined,
  );
  let [value, slope] = ACTIVATIONS[parts[1]] ?? [];
  if (alpha !== undefined) {
    const [formula, derivative] = PARAMETRIC[parts[1]];
    value = (x) => formula(x, alpha, beta ?? 0);
    slope = (y, x) => derivative(y, x, alpha, beta ?? 0);
  }
  if (most === undefined) return [value, slope];
  return [(x) => value(clip(x, -most, most)), (y, x) => slope(y, clip(x, -most, most)) * within(x, -most, most)];
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** Return the rank of each number of a row in falling order, as [order, sums, support] of sparsemax. */
function support(row) {
  const order = row.map((_, index) => index).sort((a, b) => row[b] - row[a]);
  let total = 0;
  const sums = order.map((index) => {
    total += row[index];
    return total;
  });
  const kept = order.map((index, rank) => row[index] - (sums[rank] - 1) / (rank + 1) > 0);
  const size = kept.filter(Boolean).length;
  return { order, size, threshold: (sum(sums.filter((_, rank) => kept[rank])) - 1) / size, kept };
}

// Functions over a whole row: [values(row), pull(g, y, row)], which is g times the derivative.
export const ROW_FUNCTIONS = {
  softmax: [
    (row) => {
      const most = Math.max(...row);
      const powers = row.map((x) => Math.exp(x - most));
      return powers.map((power) => power / sum(powers));
    },
    (g, y) => {
      const share = sum(g.map((slope, index) => slope * y[index]));
      return y.map((value, index) => value * (g[index] - share));
    },
  ],
  log_softmax: [
    (row) => {
      const most = Math.max(...row);
      const total = Math.log(sum(row.map((x) => Math.exp(x - most))));
      return row.map((x) => x - most - total);
    },
    (g, y) => y.map((value, index) => g[index] - Math.exp(value) * sum(g)),
  ],
  // Keras's threshold is the sum of several sums (Martins and Astudillo 2016 have one).
  sparsemax: [
    (row) => {
      const { threshold } = support(row);
      return row.map((x) => Math.max(x - threshold, 0));
    },
    (g, _, row) => {
      const { order, size, threshold, kept } = support(row);
      const through = g.map((slope, index) => (row[index] - threshold >= 0 ? slope : 0));
      const shares = Array(row.length).fill(0);
      let count = 0;
      for (let rank = row.length - 1; rank >= 0; rank--) {
        if (kept[rank]) count += 1;
        shares[order[rank]] = count / size;
      }
      return through.map((slope, index) => slope - shares[index] * sum(through));
    },
  ],
  mean: [(row) => [sum(row) / row.length], (g, _, row) => row.map(() => g[0] / row.length)],
  variance: [
    (row) => {
      const mean = sum(row) / row.length;
      return [sum(row.map((x) => (x - mean) ** 2)) / row.length];
    },
    (g, _, row) => {
      const mean = sum(row) / row.length;
      return row.map((x) => (g[0] * 2 * (x - mean)) / row.length);
    },
  ],
  sum: [(row) => [sum(row)], (g, _, row) => row.map(() => g[0])],
};

// Functions of equations that are no activations, of one number, as [value, slope].
export const FUNCTIONS = {
  exp: [Math.exp, (y) => y],
  log: [Math.log, (_, x) => 1 / x],
  sqrt: [Math.sqrt, (y) => 0.5 / y],
  abs: [Math.abs, (_, x) => Math.sign(x)],
  cos: [Math.cos, (_, x) => -Math.sin(x)],
  sin: [Math.sin, (_, x) => Math.cos(x)],
};
