// Player: every candidate with its piano roll, a cursor, one-click listening and downloads. Value: see widgets.py.
const COLORS = ["#2b8fd6", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#a05bc4", "#b0701f"];
let chosen = 0, ticking = 0, repaint = () => {};
const tag = (name, fields = {}, ...inside) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(fields)) node.setAttribute(key, value);
  node.append(...inside);
  return node;
};

function draw() {
  cancelAnimationFrame(ticking);
  const root = element.querySelector(".player");
  if (!root) return;
  root.replaceChildren();
  const value = props.value;
  if (!value || !value.candidates || !value.candidates.length) return;
  chosen = Math.min(chosen, value.candidates.length - 1);
  const now = value.candidates[chosen], place = `${value.base}/${chosen + 1}`;
  if (!value.base) {
    drawWriting(root, now);
    return;
  }

  if (value.candidates.length > 1) {
    const row = tag("div", { class: "candidates", role: "group", "aria-label": "Candidates, best first" });
    value.candidates.forEach((one, i) => {
      const button = tag("button", { type: "button", "aria-pressed": String(i === chosen) },
        tag("b", {}, i ? `Candidate ${i + 1}` : "Best"), ` ${one.summary}`);
      button.addEventListener("click", () => { chosen = i; draw(); element.querySelector("audio").play(); });
      row.append(button);
    });
    root.append(row);
  }
  const audio = tag("audio", { controls: "", preload: "auto", src: `${place}.wav`, "aria-label": "Listen" });
  const canvas = tag("canvas", { class: "roll", role: "img",
    "aria-label": `Piano roll: ${now.notes.length} notes, ${now.instruments.join(", ")}` });
  root.append(audio, canvas, legendOf(now));
  const files = tag("div", { class: "files", role: "group", "aria-label": "Downloads" });
  const names = { mid: "MIDI", wav: "WAV", mp3: "MP3", musicxml: "MusicXML", pdf: "PDF", json: "JSON" };
  for (const [ending, name] of Object.entries(names).filter((pair) => value.formats.includes(pair[0])))
    files.append(tag("a", { href: `${place}.${ending}`, download: `muse-${value.seed}-${chosen + 1}.${ending}` }, `↓ ${name}`));
  if (value.link) files.append(tag("a", { href: value.link, class: "again" }, "Link to this piece"));
  root.append(files);
  if (value.formats.includes("svg")) {
    // Engraved when it is opened: that takes a second.
    const sheet = tag("details", { class: "sheet" }, tag("summary", {}, "Sheet music"));
    sheet.addEventListener("toggle", () => {
      if (sheet.open && !sheet.querySelector("img")) sheet.append(tag("img", { src: `${place}.svg`, alt: "Sheet music" }));
    });
    root.append(sheet);
  }
  repaint = () => paint(canvas, now, audio);
  for (const name of ["play", "pause", "seeked", "timeupdate"]) audio.addEventListener(name, () => canvas.tick());
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    audio.currentTime = (event.clientX - box.left) / box.width * now.seconds;
    audio.play();
  });
  repaint();
}

// The bars so far of a piece that is being written: nothing to listen to yet.
function drawWriting(root, now) {
  const canvas = tag("canvas", { class: "roll", role: "img", "aria-label": `Piano roll: ${now.chords.length} bars so far` });
  root.append(canvas, legendOf(now), tag("p", { class: "chords" }, now.chords.join(" | ")));
  repaint = () => paint(canvas, now, { currentTime: now.chords.length * now.seconds / now.bars.length, paused: true });
  repaint();
}

function legendOf(now) {
  const legend = tag("div", { class: "legend" });
  now.instruments.forEach((name, i) => {
    const spot = tag("i");
    spot.style.background = COLORS[i % COLORS.length];
    legend.append(tag("span", {}, spot, name));
  });
  return legend;
}

function paint(canvas, now, audio) {
  const wide = Math.max(280, canvas.clientWidth), high = 240, ratio = window.devicePixelRatio || 1;
  const styles = getComputedStyle(canvas), ink = styles.color;
  const pitches = now.notes.length ? now.notes.map((n) => n[2]) : [60];
  const low = Math.min(...pitches) - 2, top = Math.max(...pitches) + 2;
  const sx = wide / now.seconds, sy = high / (top - low + 1);
  const sheet = document.createElement("canvas");
  for (const one of [canvas, sheet]) { one.width = wide * ratio; one.height = high * ratio; }
  const pen = sheet.getContext("2d"), front = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.font = "10px sans-serif";
  now.bars.forEach((second, i) => {
    pen.globalAlpha = .18; pen.fillStyle = ink; pen.fillRect(second * sx, 0, 1, high);
    if (i % Math.ceil(now.bars.length / 16) === 0) { pen.globalAlpha = .6; pen.fillText(String(i + 1), second * sx + 3, 10); }
  });
  for (let pitch = Math.ceil(low / 12) * 12; pitch <= top; pitch += 12) {
    pen.globalAlpha = .12; pen.fillRect(0, high - (pitch - low) * sy, wide, 1);
  }
  for (const [onset, seconds, pitch, velocity, instrument] of now.notes) {
    pen.globalAlpha = .35 + .65 * velocity / 127;
    pen.fillStyle = COLORS[instrument % COLORS.length];
    pen.fillRect(onset * sx, high - (pitch - low + 1) * sy, Math.max(1.5, seconds * sx - .5), Math.max(2, sy - .5));
  }
  const tick = () => {
    if (!canvas.isConnected) return;
    front.setTransform(1, 0, 0, 1, 0, 0);
    front.clearRect(0, 0, canvas.width, canvas.height);
    front.drawImage(sheet, 0, 0);
    front.fillStyle = ink;
    front.fillRect(audio.currentTime * sx * ratio, 0, 2 * ratio, canvas.height);
    if (!audio.paused) ticking = requestAnimationFrame(tick);
  };
  canvas.tick = tick;
  tick();
}
// Gradio changes its colors a moment after the system does.
window.addEventListener("resize", () => repaint());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTimeout(() => repaint(), 200));
watch("value", () => {
  chosen = 0;
  draw();
  if (props.value && props.value.base && innerWidth < 700) element.scrollIntoView({ behavior: "smooth" });
});
draw();
