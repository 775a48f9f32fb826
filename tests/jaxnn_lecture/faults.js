// Faults of the page's layout: texts of a figure that overlap or leave it, and elements that are
// wider than the window.
[...document.querySelectorAll("svg")].flatMap(svg => {
  const name = svg.querySelector("title").textContent, box = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
  const faults = [];
  texts.forEach(([words, a], i) => {
    if (a.left < box.left - 1 || a.right > box.right + 1 || a.top < box.top - 1 || a.bottom > box.bottom + 2)
      faults.push(`${name}: ${words} leaves the figure`);
    texts.slice(i + 1).forEach(([others, b]) => {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1 && down > 3) faults.push(`${name}: ${words} and ${others} overlap`);
    });
  });
  return faults;
}).concat([...document.querySelectorAll("body *")]
  .filter(e => !e.closest("svg, .scroll, .skip") && e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => `wider than the window: ${e.outerHTML.slice(0, 80)}`))
