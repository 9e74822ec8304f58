// The emotion plane. Value: {points: [[valence, arousal], ...], heard: [valence, arousal] | null}, each -1..1.
// A click places the emotion; in arc mode it adds the next one. Arrow keys move the last point, Enter adds, Backspace removes.
const SVG = "http://www.w3.org/2000/svg", SIDE = 320, HALF = SIDE / 2, REACH = 140;
const words = [["happy", .8, .55], ["excited", .5, .88], ["angry", -.7, .75], ["tense", -.35, .93], ["sad", -.75, -.5],
  ["tired", -.25, -.85], ["calm", .6, -.7], ["content", .75, -.25], ["gloomy", -.8, -.12]];
let arc = false;
const read = () => {
  const value = props.value || {};
  return { points: (value.points || []).map((p) => [Number(p[0]), Number(p[1])]), heard: value.heard || null };
};
const x = (v) => HALF + v * REACH, y = (a) => HALF - a * REACH;
const make = (parent, name, fields, text) => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(fields)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
};
const clip = (value) => Math.max(-1, Math.min(1, Math.round(value * 100) / 100));
const spoken = (points) => points.length
  ? points.map((p) => `valence ${p[0].toFixed(2)}, arousal ${p[1].toFixed(2)}`).join(", then ") : "no emotion chosen";

function draw() {
  const svg = element.querySelector("svg");
  if (!svg) return;
  svg.replaceChildren();
  const { points, heard } = read();
  for (const [name, left, top] of [["q2", 0, 0], ["q1", HALF, 0], ["q3", 0, HALF], ["q4", HALF, HALF]])
    make(svg, "rect", { x: left, y: top, width: HALF, height: HALF, class: name });
  make(svg, "line", { x1: 0, x2: SIDE, y1: HALF, y2: HALF, class: "axis" });
  make(svg, "line", { y1: 0, y2: SIDE, x1: HALF, x2: HALF, class: "axis" });
  make(svg, "text", { x: SIDE - 6, y: HALF - 6, class: "name", "text-anchor": "end" }, "pleasant →");
  make(svg, "text", { x: HALF + 6, y: 14, class: "name" }, "↑ energetic");
  for (const [word, v, a] of words) make(svg, "text", { x: x(v), y: y(a), class: "word", "text-anchor": "middle" }, word);
  if (points.length > 1)
    make(svg, "polyline", { points: points.map((p) => `${x(p[0])},${y(p[1])}`).join(" "), class: "path" });
  points.forEach((p, i) => {
    make(svg, "circle", { cx: x(p[0]), cy: y(p[1]), r: 10, class: "asked" });
    if (points.length > 1)
      make(svg, "text", { x: x(p[0]), y: y(p[1]) + 4, class: "number", "text-anchor": "middle" }, String(i + 1));
  });
  if (heard) {
    make(svg, "circle", { cx: x(heard[0]), cy: y(heard[1]), r: 9, class: "heard" });
    make(svg, "text", { x: x(heard[0]), y: y(heard[1]) + 22, class: "heard-name", "text-anchor": "middle" }, "heard");
  }
  svg.setAttribute("aria-label", `Emotion plane, ${spoken(points)}`);
  element.querySelector("output").textContent = spoken(points);
  element.querySelector("[data-mode]").setAttribute("aria-pressed", String(arc));
}

function set(points) {
  const focused = element.querySelector("svg") === document.activeElement;
  props.value = { points: points.slice(0, 8), heard: null };
  trigger("input");
  requestAnimationFrame(() => { draw(); if (focused) element.querySelector("svg").focus(); });
}

element.addEventListener("click", (event) => {
  if (event.target.closest("[data-mode]")) { arc = !arc; draw(); return; }
  if (event.target.closest("[data-clear]")) { set([]); return; }
  const svg = event.target.closest("svg");
  if (!svg) return;
  const box = svg.getBoundingClientRect();
  const place = [clip(((event.clientX - box.left) / box.width * SIDE - HALF) / REACH),
    clip((HALF - (event.clientY - box.top) / box.height * SIDE) / REACH)];
  set(arc ? [...read().points, place] : [place]);
});
element.addEventListener("keydown", (event) => {
  if (!event.target.closest("svg")) return;
  const steps = { ArrowLeft: [-.1, 0], ArrowRight: [.1, 0], ArrowUp: [0, .1], ArrowDown: [0, -.1] };
  const points = read().points, last = points.at(-1) || [0, 0];
  if (steps[event.key]) {
    const [v, a] = steps[event.key];
    set([...points.slice(0, -1), [clip(last[0] + v), clip(last[1] + a)]]);
  } else if (event.key === "Enter" || event.key === " ") set([...points, last]);
  else if (event.key === "Backspace") set(points.slice(0, -1));
  else return;
  event.preventDefault();
});
watch("value", draw);
draw();
