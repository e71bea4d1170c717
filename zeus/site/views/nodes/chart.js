// The farm's last hour: a line for each node, of its processor, memory, graphics or running jobs.
import { el, replace, svg } from "../../dom.js";

const HOUR = 3600;
const GAP = 45;
const TICKS = ["60 min ago", "45", "30", "15", "now"];
const [WIDTH, HEIGHT] = [1000, 160];
const percent = (value) => `${Math.round(value)} %`;
const MEASURES = {
  cpu: { word: "CPU", of: (load) => load.cpu_percent, tell: percent, top: () => 100 },
  memory: { word: "Memory", of: (load) => load.memory_percent, tell: percent, top: () => 100 },
  gpu: { word: "GPU", of: (load) => load.gpu_percent, tell: percent, top: () => 100 },
  running: { word: "Running", of: (load) => load.running, tell: String, top: (most) => Math.max(4, most) },
};

export class HourChart {
  constructor() {
    this._nodes = [];
    this._now = 0;
    this._name = "cpu";
    this._choices = el("fieldset", {}, el("legend", { class: "unseen" }, "What is shown"),
      el("div", { class: "segments" }, Object.entries(MEASURES).map(([name, { word }]) => el("label", {},
        el("input", { type: "radio", name: "measure", value: name, checked: name === "cpu", onchange: () => this._choose(name) }), word))));
    this._plot = el("div", { class: "hour-plot" });
    this._scale = el("div", { class: "hour-scale muted numbers", "aria-hidden": "true" });
    this._legend = el("ul", { class: "hour-legend" });
    this._cursor = el("div", { class: "hour-cursor", hidden: true });
    this._tip = el("div", { class: "hour-tip", hidden: true });
    this._area = el("div", { class: "hour-area", onpointermove: (event) => this._point(event), onpointerleave: () => this._point(null) }, this._plot, this._cursor, this._tip);
    this.element = el("section", { class: "card stack", "aria-label": "The last hour" },
      el("div", { class: "row between" }, el("h2", {}, "The last hour"), this._choices),
      el("div", { class: "hour" }, this._scale, this._area,
        el("div", { class: "hour-axis muted numbers", "aria-hidden": "true" }, TICKS.map((word) => el("span", {}, word)))),
      this._legend);
  }

  /** Show nodes, of which each has a `name` and a `history`, up to a moment. */
  update(nodes, timestamp) {
    this._now = Date.parse(timestamp) / 1000;
    this._nodes = nodes.filter((node) => node.history.length).map((node) => ({
      name: node.name, loads: node.history.map((load) => ({ ...load, at: Date.parse(load.timestamp) / 1000 })),
    }));
    this._draw();
  }

  _choose(name) {
    this._name = name;
    this._draw();
  }

  _draw() {
    const measure = MEASURES[this._name];
    const lines = this._nodes.map((node) => ({ name: node.name, points: node.loads.map((load) => [load.at, measure.of(load)]).filter(([, value]) => value !== null) }));
    const top = measure.top(Math.max(0, ...lines.flatMap(({ points }) => points.map(([, value]) => value))));
    const said = lines.map(({ name, points }) => `${name} ${points.length ? measure.tell(points.at(-1)[1]) : "unknown"}`).join(", ");
    replace(this._plot, svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${measure.word} in the last hour; now: ${said || "nothing"}` },
      [0, 0.5, 1].map((share) => svg("line", { class: "hour-grid", x1: 0, x2: WIDTH, y1: share * HEIGHT, y2: share * HEIGHT, "vector-effect": "non-scaling-stroke" })),
      lines.map(({ points }, at) => runs(points).map((run) => this._line(run, top, at, lines.length === 1)))));
    replace(this._scale, [1, 0.5, 0].map((share) => el("span", {}, measure.tell(share * top))));
    replace(this._legend, lines.map(({ name, points }, at) => el("li", {}, el("span", { class: `hour-key line-${at % 8}` }), el("span", { class: "cut" }, name),
      el("span", { class: "muted numbers" }, points.length ? measure.tell(points.at(-1)[1]) : "–"))));
  }

  _line(run, top, at, isAlone) {
    const path = run.map(([time, value]) => `${this._x(time).toFixed(1)},${(HEIGHT - (Math.min(value, top) / top) * HEIGHT).toFixed(1)}`);
    const ends = [this._x(run[0][0]), this._x(run.at(-1)[0])].map((x) => x.toFixed(1));
    return [
      isAlone && svg("path", { class: "hour-fill", d: `M${ends[0]},${HEIGHT}L${path.join("L")}L${ends[1]},${HEIGHT}Z` }),
      svg("path", { class: `hour-line line-${at % 8}`, d: run.length > 1 ? `M${path.join("L")}` : `M${path[0]}h1.5`, "vector-effect": "non-scaling-stroke" }),
    ];
  }

  _x(time) {
    return WIDTH * (1 - Math.min(HOUR, Math.max(0, this._now - time)) / HOUR);
  }

  /** Tell what was at the pointer. */
  _point(event) {
    this._cursor.hidden = this._tip.hidden = !event || !this._nodes.length;
    if (this._cursor.hidden) return;
    const box = this._area.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const [time, measure] = [this._now - HOUR * (1 - share), MEASURES[this._name]];
    this._cursor.style.left = `${share * 100}%`;
    this._tip.style.left = `${share * 100}%`;
    this._tip.classList.toggle("left", share > 0.6);
    const minutes = Math.round((this._now - time) / 60);
    const rows = this._nodes.map((node) => {
      const near = node.loads.reduce((best, load) => (Math.abs(load.at - time) < Math.abs(best.at - time) ? load : best));
      const value = Math.abs(near.at - time) < GAP ? measure.of(near) : null;
      return el("div", { class: "row between" }, el("span", { class: "cut" }, node.name), el("strong", { class: "numbers" }, value === null ? "–" : measure.tell(value)));
    });
    replace(this._tip, el("div", { class: "muted" }, minutes ? `${minutes} min ago` : "now"), rows);
  }
}

/** Points without a gap between them. */
function runs(points) {
  const found = [];
  let before = -Infinity;
  for (const point of points) {
    if (point[0] - before > GAP) found.push([]);
    found.at(-1).push(point);
    before = point[0];
  }
  return found;
}
