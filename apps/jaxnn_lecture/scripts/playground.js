// The playground of the chapter "Depth and width": a network that trains in the page.
document.querySelectorAll('[data-widget="playground"]').forEach(place => {
  const sets = JSON.parse(place.querySelector('script[type="application/json"]').textContent);
  const SIDE = 90, MILLISECONDS = 12, MOST_COSTS = 4000;
  const make = (name, text) => { const e = document.createElement(name); if (text) e.textContent = text; return e; };
  const choice = (title, values, chosen) => {
    const label = make("label", `${title} `), select = make("select");
    values.forEach(v => select.append(new Option(String(v).replace("_", " "), v, v === chosen, v === chosen)));
    select.onchange = start;
    label.append(select);
    controls.append(label);
    return select;
  };
  const controls = make("div"); controls.className = "controls";
  const dataset = choice("Data", Object.keys(sets), "flower");
  const depth = choice("Hidden layers", [0, 1, 2, 3, 5], 1);
  const width = choice("Units a layer", [1, 2, 3, 4, 6, 10], 4);
  const activation = choice("Activation", Object.keys(network.ACTIVATIONS), "tanh");
  const rate = choice("Learning rate α", [0.001, 0.01, 0.03, 0.1, 0.3, 1, 3], 0.3);
  rate.onchange = () => draw();  // a new rate goes on with the same network
  const button = (text, act) => {
    const b = make("button", text);
    b.type = "button"; b.onclick = act; controls.append(b);
    return b;
  };
  const train = button("Train", () => { running = !running; train.textContent = running ? "Pause" : "Train"; if (running) requestAnimationFrame(frame); else draw(); });
  button("One step", () => { advance(1); draw(); });
  button("100 steps", () => { advance(100); draw(); });
  button("Other random start", () => { seed += 1; start(); });
  const status = make("p"); status.className = "status"; status.setAttribute("role", "status");
  const canvas = make("canvas"); canvas.width = canvas.height = 4 * SIDE; canvas.setAttribute("role", "img");
  const curve = make("div"), beside = make("div"); beside.className = "beside";
  beside.append(canvas, curve);
  place.prepend(controls, status, beside);
  let running = false, seed = 1, params, steps, costs, X, Y, view;  // costs: pairs [step, cost]

  function start() {
    ({X, Y} = sets[dataset.value]);
    width.disabled = activation.disabled = depth.value === "0";
    params = network.init([2, ...new Array(+depth.value).fill(+width.value), 1], activation.value, seed);
    steps = 0; costs = [];
    view = [0, 1].map(k => { const v = X.map(x => x[k]), low = Math.min(...v), high = Math.max(...v), gap = 0.1 * (high - low); return [low - gap, high + gap]; });
    draw();
  }

  function advance(count) {
    for (let k = 0; k < count; k++) {
      const done = network.step(params, activation.value, X, Y, +rate.value);
      params = done.params;
      costs.push([steps, done.cost]);
      steps += 1;
    }
    if (costs.length > MOST_COSTS) costs = costs.filter((_, i) => i % 2 === 0);
  }

  let frames = 0;
  function frame() {
    if (!running) return;
    const end = performance.now() + MILLISECONDS;
    while (performance.now() < end) advance(1);
    if (frames++ % 6 === 0) draw();
    requestAnimationFrame(frame);
  }

  function draw() {
    const run = network.forward(params, activation.value, X), cost = network.cost(run.Z, Y);
    const right = run.Z[run.Z.length - 1].filter(([z], i) => (z > 0) === (Y[i] > 0.5)).length / X.length;
    const words = Number.isFinite(cost) ? `cost J = ${cost.toFixed(4)}, ${(100 * right).toFixed(1)}% right` :
      "the cost is not a number: the learning rate is too large; start again with a smaller one";
    status.setAttribute("aria-live", running ? "off" : "polite");
    status.textContent = `Step ${steps}: ${words}`;
    Object.assign(place.dataset, {steps, cost});
    canvas.setAttribute("aria-label", `The ${dataset.value} data with the answers of the network in the plane: ${words}`);
    paint();
    curve.innerHTML = cost_curve();
  }

  function paint() {
    const [[left, end], [bottom, top]] = view, points = [];
    for (let i = 0; i < SIDE; i++) for (let j = 0; j < SIDE; j++)
      points.push([left + (j + 0.5) / SIDE * (end - left), top - (i + 0.5) / SIDE * (top - bottom)]);
    const {Z, A} = network.forward(params, activation.value, points);
    const z = Z[Z.length - 1].map(row => row[0]), p = A[A.length - 1].map(row => row[0]);
    const context = canvas.getContext("2d"), cell = canvas.width / SIDE;
    p.forEach((value, k) => {
      const edge = k % SIDE && (z[k] > 0) !== (z[k - 1] > 0) || k >= SIDE && (z[k] > 0) !== (z[k - SIDE] > 0);
      const grey = edge ? 0 : Math.round(255 * (1 - 0.6 * (value || 0)));
      context.fillStyle = `rgb(${grey},${grey},${grey})`;
      context.fillRect(k % SIDE * cell, Math.floor(k / SIDE) * cell, cell, cell);
    });
    X.forEach(([a, b], i) => {
      const x = (a - left) / (end - left) * canvas.width, y = (top - b) / (top - bottom) * canvas.height;
      context.beginPath();
      context.lineWidth = 2;
      if (Y[i]) {
        context.moveTo(x - 4, y - 4); context.lineTo(x + 4, y + 4); context.moveTo(x + 4, y - 4); context.lineTo(x - 4, y + 4);
        context.strokeStyle = "#a33500";
      } else {
        context.arc(x, y, 3.5, 0, 7); context.fillStyle = "#fff"; context.fill(); context.strokeStyle = "#0b4a94";
      }
      context.stroke();
    });
  }

  function cost_curve() {
    const shown = costs.filter(([, cost]) => Number.isFinite(cost)), high = Math.max(0.7, ...shown.map(([, cost]) => cost));
    const every = Math.max(1, Math.ceil(shown.length / 200));
    const line = shown.filter((_, i) => i % every === 0).map(([step, cost]) =>
      `${(46 + 250 * step / Math.max(1, steps)).toFixed(1)} ${(180 - 150 * cost / high).toFixed(1)}`).join("L");
    const label = `The cost by step: ${shown.length ? `from ${shown[0][1].toFixed(3)} to ${shown[shown.length - 1][1].toFixed(3)}` : "no step yet"}`;
    return `<svg role="img" aria-label="${label}" viewBox="0 0 310 224" style="max-width:24rem"><title>${label}</title>` +
      `<text x="4" y="18">cost J</text><text x="40" y="35" text-anchor="end">${high.toFixed(1)}</text>` +
      `<text x="40" y="185" text-anchor="end">0</text><path d="M46 30V180H296" class="axis"/>` +
      `<text x="46" y="202">0</text><text x="296" y="202" text-anchor="end">${steps}</text><text x="171" y="220" text-anchor="middle">step</text>` +
      (line ? `<path d="M${line}" class="line s0"/>` : "") + "</svg>";
  }
  start();
});
