// The tiny network of the chapter "One hidden layer": drawn with all its numbers, step by step.
document.querySelectorAll('[data-widget="stepper"]').forEach(place => {
  const data = JSON.parse(place.querySelector('script[type="application/json"]').textContent);
  const {X, Y, rate, activation} = data, m = X.length;
  const copy = value => JSON.parse(JSON.stringify(value));
  let params = copy(data.params), steps = 0, stage = 4, example = 0;

  const show = v => v.toFixed(Math.abs(v) >= 99.95 ? 0 : Math.abs(v) >= 9.995 ? 1 : Math.abs(v) >= 0.9995 ? 2 : 3)
    .replace(/^-(0\.?0*)$/, "$1").replace("-", "−");
  const STAGES = [
    ["Input", "the numbers x of the example", ["X"]],
    ["Forward", "Z[1] = W[1] X + b[1]", ["W1", "X", "b1", "Z1"]],
    ["Forward", "A[1] = tanh(Z[1])", ["Z1", "A1"]],
    ["Forward", "Z[2] = W[2] A[1] + b[2]", ["W2", "A1", "b2", "Z2"]],
    ["Forward", "A[2] = σ(Z[2]), the prediction ŷ, and the cost J", ["Z2", "A2"]],
    ["Backward", "dZ[2] = A[2] − Y", ["A2", "Y", "dZ2"]],
    ["Backward", "dW[2] = 1/m dZ[2] A[1]ᵀ and db[2]", ["dZ2", "A1", "dW2", "db2"]],
    ["Backward", "dZ[1] = W[2]ᵀ dZ[2] ∘ (1 − A[1]²)", ["W2", "dZ2", "A1", "dZ1"]],
    ["Backward", "dW[1] = 1/m dZ[1] Xᵀ and db[1]", ["dZ1", "X", "dW1", "db1"]],
  ];

  const make = (name, text) => { const e = document.createElement(name); if (text) e.textContent = text; return e; };
  const controls = make("div"); controls.className = "controls";
  const label = make("label", "Example ");
  const select = make("select");
  X.forEach((x, i) => select.append(new Option(`${i + 1}: x = (${x.join(", ")}), y = ${Y[i]}`.replaceAll("-", "−"), i)));
  label.append(select);
  const range = make("input");
  Object.assign(range, {type: "range", min: 0, max: STAGES.length - 1, value: stage});
  range.setAttribute("aria-label", "Stage of the computation");
  const buttons = [["Back", () => move(stage - 1)], ["Next", () => move(stage + 1)],
    ["Take a step of descent", () => descend(1)], ["Take 100", () => descend(100)],
    ["Start again", () => { params = copy(data.params); steps = 0; draw(); }]]
    .map(([text, act]) => { const b = make("button", text); b.type = "button"; b.onclick = act; return b; });
  controls.append(label, range, ...buttons);
  const status = make("p"); status.setAttribute("aria-live", "polite"); status.className = "status";
  const picture = make("div"), tables = make("div"); tables.className = "matrices";
  const beside = make("div"); beside.className = "beside";
  beside.append(picture, tables);
  place.prepend(controls, status, beside);
  range.oninput = () => move(+range.value);
  select.onchange = () => { example = +select.value; draw(); };

  function move(to) { stage = Math.min(STAGES.length - 1, Math.max(0, to)); range.value = stage; draw(); }
  function descend(count) {
    for (let k = 0; k < count; k++) params = network.step(params, activation, X, Y, rate).params;
    steps += count;
    draw();
  }

  function draw() {
    const run = network.forward(params, activation, X);
    const back = network.backward(params, activation, X, Y, run);
    const J = network.cost(run.Z, Y), [kind, what] = STAGES[stage];
    range.setAttribute("aria-valuetext", `${kind}: ${what}`);
    status.textContent = `${kind}, stage ${stage} of ${STAGES.length - 1}: ${what}. ` +
      (stage >= 4 ? `J = ${J.toFixed(4)} after ${steps} step${steps === 1 ? "" : "s"}.` : "");
    picture.innerHTML = network_svg(run, back);
    const columns = rows => rows[0].map((_, i) => rows.map(row => row[i]));  // (n, m) as in the lecture
    const all = {
      X: columns(X), Y: [Y], W1: params[0].W, W2: params[1].W,
      b1: params[0].b.map(v => [v]), b2: params[1].b.map(v => [v]),
      Z1: columns(run.Z[0]), A1: columns(run.A[0]), Z2: columns(run.Z[1]), A2: columns(run.A[1]),
      dZ1: columns(back.dZ[0]), dZ2: columns(back.dZ[1]), dW1: back.dW[0], dW2: back.dW[1],
      db1: back.db[0].map(v => [v]), db2: back.db[1].map(v => [v]),
    };
    tables.innerHTML = STAGES[stage][2].map(name => matrix(name, all[name])).join("");
  }

  function matrix(name, rows) {
    const title = name.replace(/(\d)/, "[$1]"), perExample = /^d?[XYZA]/.test(name);
    const cells = rows.map(row => `<tr>${row.map((v, j) =>
      `<td${perExample && j === example ? ' class="now"' : ""}>${show(v)}</td>`).join("")}</tr>`).join("");
    return `<div class="scroll"><table><caption><b>${title}</b> (${rows.length}, ${rows[0].length})` +
      `${perExample ? ": a column for each example" : ""}</caption><tbody>${cells}</tbody></table></div>`;
  }

  function network_svg(run, back) {
    const hidden = params[0].b.length, inputs = X[0].length;
    const spread = (n, x) => Array.from({length: n}, (_, i) => [x, 210 + (i - (n - 1) / 2) * 150]);
    const layers = [spread(inputs, 36), spread(hidden, 216), spread(1, 396)];
    const parts = [], text = (x, y, words, cls = "", anchor = "middle") =>
      parts.push(`<text x="${x}" y="${y}" text-anchor="${anchor}" class="${cls}">${words}</text>`);
    params.forEach(({W}, l) => W.forEach((w, i) => w.forEach((v, j) => {
      const [x1, y1] = layers[l][j], [x2, y2] = layers[l + 1][i];
      parts.push(`<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" class="edge" stroke-width="${Math.min(6, 0.6 + 2 * Math.abs(v))}"${v < 0 ? ' stroke-dasharray="6 4"' : ""}/>`);
    })));
    params.forEach(({W}, l) => W.forEach((w, i) => w.forEach((v, j) => {
      const [x1, y1] = layers[l][j], [x2, y2] = layers[l + 1][i], t = l ? 0.42 : 0.62;
      const x = x1 + t * (x2 - x1), y = y1 + t * (y2 - y1), shown = stage >= (l ? 6 : 8);
      text(x, y + (shown ? -2 : 5), show(v), "halo");
      if (shown) text(x, y + 14, show(back.dW[l][i][j]), "halo gradient");
    })));
    const node = ([x, y], value, name) => {
      const known = value !== null, tone = known ? Math.min(1, Math.abs(value)) * 0.55 : 0;
      parts.push(`<circle cx="${x}" cy="${y}" r="30" class="node" fill="var(--paper)"/>`);
      if (known) parts.push(`<circle cx="${x}" cy="${y}" r="29" fill="var(--${value < 0 ? "s0" : "s1"})" fill-opacity="${tone.toFixed(2)}" data-value="${value}"/>`);
      text(x, y - 5, name, "name");
      text(x, y + 13, known ? show(value) : "?");
    };
    layers[0].forEach((p, j) => node(p, X[example][j], `x${"₁₂₃"[j]}`));
    layers[1].forEach((p, i) => {
      node(p, stage < 1 ? null : stage < 2 ? run.Z[0][example][i] : run.A[0][example][i], stage < 2 ? `z${"₁₂₃₄"[i]}` : `a${"₁₂₃₄"[i]}`);
      text(p[0], p[1] - 38, `b ${show(params[0].b[i])}`, "halo");
      if (stage >= 7) text(p[0], p[1] + 46, `dz ${show(back.dZ[0][example][i])}`, "halo gradient");
      if (stage >= 8) text(p[0], p[1] + 62, `db ${show(back.db[0][i])}`, "halo gradient");
    });
    const out = layers[2][0];
    node(out, stage < 3 ? null : stage < 4 ? run.Z[1][example][0] : run.A[1][example][0], stage < 4 ? "z" : "ŷ");
    text(out[0], out[1] - 38, `b ${show(params[1].b[0])}`, "halo");
    text(out[0], out[1] + 46, `y ${Y[example]}`, "halo");
    if (stage >= 5) text(out[0], out[1] + 62, `dz ${show(back.dZ[1][example][0])}`, "halo gradient");
    if (stage >= 6) text(out[0], out[1] + 78, `db ${show(back.db[1][0])}`, "halo gradient");
    const title = `The network at example ${example + 1}`;
    return `<svg role="img" aria-label="${title}: the numbers of this stage are in the tables beside it" viewBox="0 0 440 446" style="max-width:33.85rem"><title>${title}</title>${parts.join("")}</svg>`;
  }
  draw();
});
