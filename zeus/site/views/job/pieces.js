// A split job's pieces: each node's work on a line of time, and all of them as a table.
import { url } from "../../api.js";
import { clock } from "../../clock.js";
import { el, replace, text } from "../../dom.js";
import { between, count, duration } from "../../format.js";
import { badge, outcome, setStatus, shortId, statusWord } from "../../jobparts.js";
import { jobs } from "../../jobs.js";
import { Refresh } from "../../refresh.js";

const MOST_ROWS = 200;
const TICKS = 4;
const PAUSE = 1000;

export class Pieces {
  /** `element` is hidden while the job has no pieces. */
  constructor() {
    this._job = null;
    this._bars = new Map();
    this._rows = new Map();
    this._lanes = el("div", { class: "lanes" });
    this._axis = el("div", { class: "lane-axis muted numbers", "aria-hidden": "true" });
    this._told = el("span", { class: "muted small numbers" });
    this._body = el("tbody");
    this._all = el("a", {});
    this._rest = el("p", { class: "small", hidden: true }, this._all);
    this._table = el("details", { class: "more", ontoggle: () => this._fill() }, el("summary", {}, "All pieces"),
      el("div", { class: "piece-scroll", tabindex: 0, role: "region", "aria-label": "Table of pieces" },
        el("table", { class: "table" },
          el("thead", {}, el("tr", {}, ["Frames", "Status", "Progress", "Node", "Time"].map((word) => el("th", { scope: "col" }, word)))), this._body)),
      this._rest);
    this.element = el("section", { class: "card stack", "aria-label": "Pieces", hidden: true },
      el("div", { class: "row between" }, el("h2", {}, "Pieces by node"), this._told), this._lanes, this._axis, this._table);
    this._refresh = new Refresh(async () => this._draw(), { pause: PAUSE });
    this._unsubscribe = jobs.subscribe((news) => {
      if ([...news.changed].some((id) => jobs.get(id)?.parent === this._job?.id)) this._refresh.again();
    });
  }

  update(job) {
    this._job = job;
    this.element.hidden = !job.children.length;
    if (job.children.length) this._refresh.want(job.revision);
  }

  close() {
    this._unsubscribe();
    this._refresh.close();
  }

  /** The pieces, each as the store knows it, or as little as its parent says. */
  get _pieces() {
    return this._job.children.map((child) => jobs.get(child.id) ?? { ...child, status: "queued", start_time: null, end_time: null, percent_complete: 0, completed_frames: 0, total_frames: null, error: null, eta_seconds: null, name: child.id });
  }

  _draw() {
    const pieces = this._pieces;
    const begun = pieces.filter((piece) => piece.start_time);
    const ended = pieces.filter((piece) => piece.status === "finished").length;
    const lanes = lanesOf(begun);
    text(this._told, `${ended} of ${count(pieces.length, "piece")} finished · ${count(lanes.size, "node")}`);
    const now = clock.now();
    const start = Math.min(...begun.map((piece) => Date.parse(piece.start_time)));
    const end = Math.max(start + 1000, ...begun.map((piece) => endOf(piece, now)));
    this._lanes.hidden = this._axis.hidden = !begun.length;
    const share = (time) => `${(((time - start) / (end - start)) * 100).toFixed(3)}%`;
    keep(this._bars, begun, makeBar, (bar, piece) => bar.show(piece, now, share));
    this._arrange(lanes);
    replace(this._axis, Array.from({ length: TICKS + 1 }, (_, at) => el("span", {}, at ? duration(((end - start) / 1000) * (at / TICKS)) : "0")));
    this._fill();
  }

  /** Put the bars into lanes, where they are not there already: what one points at stays. */
  _arrange(lanes) {
    const key = JSON.stringify([...lanes].map(([node, rows]) => [node, rows.map((row) => row.map((piece) => piece.id))]));
    if (this._lanes.dataset.key === key) return;
    this._lanes.dataset.key = key;
    replace(this._lanes, [...lanes].map(([node, rows]) => el("div", { class: "lane", role: "group", "aria-label": `${node}: ${count(rows.flat().length, "piece")}` },
      el("span", { class: "lane-name cut", title: node }, node),
      el("div", { class: "lane-rows" }, rows.map((row) => el("div", { class: "lane-row" }, row.map((piece) => this._bars.get(piece.id).element)))))));
  }

  _fill() {
    if (!this._table.open) return;
    const pieces = this._pieces;
    const shown = pieces.slice(0, MOST_ROWS);
    keep(this._rows, shown, makeRow, (row, piece) => row.show(piece));
    shown.forEach((piece, at) => {
      const { element } = this._rows.get(piece.id);
      if (this._body.children[at] !== element) this._body.insertBefore(element, this._body.children[at] ?? null);
    });
    this._rest.hidden = pieces.length <= MOST_ROWS;
    this._all.href = url("#/jobs", { parent: this._job.id });
    text(this._all, `All ${count(pieces.length, "piece")} in the list of jobs`);
  }
}

/** What shows each piece, by its id: made once, shown as it is now, and gone with it. */
function keep(parts, pieces, make, show) {
  const here = new Set(pieces.map((piece) => piece.id));
  for (const [id, part] of parts) {
    if (here.has(id)) continue;
    part.element.remove();
    parts.delete(id);
  }
  for (const piece of pieces) {
    if (!parts.has(piece.id)) parts.set(piece.id, make(piece));
    show(parts.get(piece.id), piece);
  }
}

function makeRow({ id }) {
  const link = el("a", { href: `#/jobs/${id}` });
  const status = badge();
  const [told, node] = [el("td", { class: "any" }), el("td", { class: "any" })];
  const time = el("td");
  const show = (piece) => {
    text(link, range(piece));
    setStatus(status, piece.status);
    text(told, outcome(piece));
    text(node, piece.node);
    text(time, piece.start_time ? duration(between(piece.start_time, piece.end_time)) : "");
  };
  return { element: el("tr", {}, el("td", {}, link), el("td", {}, status), told, node, time), show };
}

function makeBar({ id }) {
  const element = el("a", { href: `#/jobs/${id}`, tabindex: -1 });
  const show = (piece, now, share) => {
    const [from, to] = [Date.parse(piece.start_time), endOf(piece, now)];
    element.className = `lane-bar lane-${piece.status}`;
    element.title = `${range(piece)}: ${statusWord(piece.status)}, ${duration(Math.max(0, to - from) / 1000)}`;
    element.setAttribute("aria-label", element.title);
    Object.assign(element.style, { left: share(from), right: `calc(100% - ${share(to)})` });
  };
  return { element, show };
}

const endOf = (piece, now) => (piece.end_time ? Date.parse(piece.end_time) : now);

/** For each node its pieces, in as many rows as ran at once. */
function lanesOf(pieces) {
  const lanes = new Map();
  for (const piece of [...pieces].sort((a, b) => Date.parse(a.start_time) - Date.parse(b.start_time))) {
    const rows = lanes.get(piece.node ?? "?") ?? [];
    lanes.set(piece.node ?? "?", rows);
    const free = rows.find((row) => row.at(-1).end_time && Date.parse(row.at(-1).end_time) <= Date.parse(piece.start_time));
    if (free) free.push(piece);
    else rows.push([piece]);
  }
  return new Map([...lanes].sort(([a], [b]) => a.localeCompare(b)));
}

function range(piece) {
  if (piece.start_frame === null) return piece.name ?? shortId(piece.id);
  return piece.start_frame === piece.end_frame ? `Frame ${piece.start_frame}` : `Frames ${piece.start_frame} to ${piece.end_frame}`;
}
