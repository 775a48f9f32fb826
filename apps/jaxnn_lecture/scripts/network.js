// The lecture's network and its gradient descent, in plain JavaScript with 64-bit numbers.
// Examples are rows: X (m, n). A layer is {W: (n_out, n_in), b: (n_out)}; the last one ends in
// logits. A test compares every function with jaxnn.
const network = (() => {
  const sigmoid = z => z >= 0 ? 1 / (1 + Math.exp(-z)) : 1 - 1 / (1 + Math.exp(z));

  // Each activation: g, and its derivative as a function of a = g(z).
  const ACTIVATIONS = {
    tanh: [Math.tanh, a => 1 - a * a],
    sigmoid: [sigmoid, a => a * (1 - a)],
    relu: [z => Math.max(0, z), a => a > 0 ? 1 : 0],
    leaky_relu: [z => z > 0 ? z : 0.01 * z, a => a > 0 ? 1 : a < 0 ? 0.01 : 0],
    identity: [z => z, () => 1],
  };

  // Numbers in [0, 1) from a seed (mulberry32), and normal ones from them (Box and Muller).
  function uniform(seed) {
    let s = seed >>> 0;
    return () => {
      s = s + 0x6D2B79F5 >>> 0;
      let t = Math.imul(s ^ s >>> 15, s | 1);
      t ^= t + Math.imul(t ^ t >>> 7, t | 61);
      return ((t ^ t >>> 14) >>> 0) / 4294967296;
    };
  }

  function init(sizes, activation, seed) {
    const next = uniform(seed);
    const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
    return sizes.slice(1).map((n, l) => {
      const scale = Math.sqrt((activation.includes("relu") ? 2 : 1) / sizes[l]);
      const W = Array.from({length: n}, () => Array.from({length: sizes[l]}, () => scale * normal()));
      return {W, b: new Array(n).fill(0)};
    });
  }

  // {Z, A}: Z[l] and A[l] are of layer l + 1; A[-1] is X; the last A is the prediction.
  function forward(params, activation, X) {
    const [g] = ACTIVATIONS[activation], Z = [], A = [];
    let rows = X;
    params.forEach(({W, b}, l) => {
      const z = rows.map(x => W.map((w, i) => {
        let sum = b[i];
        for (let j = 0; j < w.length; j++) sum += w[j] * x[j];
        return sum;
      }));
      const f = l + 1 < params.length ? g : sigmoid;
      rows = z.map(row => row.map(f));
      Z.push(z);
      A.push(rows);
    });
    return {Z, A};
  }

  const softplus = z => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));

  // The mean over the examples of −y log a − (1 − y) log(1 − a), from the logits.
  function cost(Z, Y) {
    const last = Z[Z.length - 1];
    let sum = 0;
    last.forEach(([z], i) => { sum += Y[i] * softplus(-z) + (1 - Y[i]) * softplus(z); });
    return sum / last.length;
  }

  // {dZ, dW, db} of every layer, with the lecture's dZ = A − Y of each example.
  function backward(params, activation, X, Y, {A}) {
    const slope = ACTIVATIONS[activation][1], m = X.length, L = params.length;
    const dZ = new Array(L), dW = new Array(L), db = new Array(L);
    dZ[L - 1] = A[L - 1].map(([a], i) => [a - Y[i]]);
    for (let l = L - 1; l >= 0; l--) {
      const {W} = params[l], before = l ? A[l - 1] : X, dz = dZ[l];
      dW[l] = W.map((w, i) => w.map((_, j) => {
        let sum = 0;
        for (let k = 0; k < m; k++) sum += dz[k][i] * before[k][j];
        return sum / m;
      }));
      db[l] = W.map((_, i) => {
        let sum = 0;
        for (let k = 0; k < m; k++) sum += dz[k][i];
        return sum / m;
      });
      if (l) dZ[l - 1] = dz.map((d, k) => before[k].map((a, j) => {
        let sum = 0;
        for (let i = 0; i < W.length; i++) sum += W[i][j] * d[i];
        return sum * slope(a);
      }));
    }
    return {dZ, dW, db};
  }

  // One step of gradient descent: the new parameters, and the cost before the step.
  function step(params, activation, X, Y, rate) {
    const run = forward(params, activation, X);
    const {dW, db} = backward(params, activation, X, Y, run);
    const next = params.map(({W, b}, l) => ({
      W: W.map((w, i) => w.map((v, j) => v - rate * dW[l][i][j])),
      b: b.map((v, i) => v - rate * db[l][i]),
    }));
    return {params: next, cost: cost(run.Z, Y)};
  }

  return {ACTIVATIONS, init, forward, cost, backward, step};
})();
