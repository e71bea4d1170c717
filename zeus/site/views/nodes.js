// The nodes: each with its load and what it can do, the farm's last hour, and pairing.
import { get, url } from "../api.js";
import { el, replace, text } from "../dom.js";
import { count } from "../format.js";
import { icon } from "../icons.js";
import { Refresh } from "../refresh.js";
import { NodeCard } from "./nodes/card.js";
import { HourChart } from "./nodes/chart.js";
import { OwnEngines } from "./nodes/engines.js";
import { OwnModels } from "./nodes/models.js";
import { openPairing } from "./nodes/pairing.js";

export const title = "Nodes";

const HOUR = 3600;
const EVERY = 3000;
const BUSY = 1000;
const HISTORY_EVERY = 20000;
const OWN_EVERY = 10000;

export function mount(outlet) {
  const view = new NodesView(outlet);
  return () => view.close();
}

class NodesView {
  constructor(outlet) {
    this._cards = new Map();
    this._self = null;
    this._historyAt = this._ownAt = -Infinity;
    this._again = () => {
      this._ownAt = this._historyAt = -Infinity;
      this._refresh.again();
    };
    this._chart = new HourChart();
    this._engines = new OwnEngines({ onchange: this._again });
    this._models = new OwnModels({ onchange: this._again });
    this._told = el("span", { class: "node-count muted numbers" });
    this._grid = el("div", { class: "node-grid" }, el("p", { class: "muted" }, "Loading the nodes…"));
    this._refresh = new Refresh((signal) => this._load(signal), { pause: 300 });
    replace(outlet,
      el("div", { class: "page-head" }, el("h1", {}, "Nodes ", this._told),
        el("button", { class: "button primary", type: "button", onclick: () => openPairing(null, this._again) }, icon("new", 16), "Pair a node")),
      this._refresh.problem,
      el("div", { class: "stack" }, this._chart.element, this._grid));
    this._refresh.want("now");
    this._turn();
  }

  close() {
    clearTimeout(this._timer);
    this._refresh.close();
  }

  _turn() {
    const isBusy = this._engines.isBusy || this._models.isBusy;
    this._timer = setTimeout(() => {
      if (isBusy) this._ownAt = -Infinity;
      this._refresh.again();
      this._turn();
    }, isBusy ? BUSY : EVERY);
  }

  async _load(signal) {
    const withHistory = Date.now() - this._historyAt > HISTORY_EVERY;
    const { nodes, timestamp } = await get(url("/api/nodes", { history: withHistory ? HOUR : null }), { signal });
    if (withHistory) {
      this._historyAt = Date.now();
      this._chart.update(nodes, timestamp);
    }
    this._show(nodes);
    if (Date.now() - this._ownAt <= OWN_EVERY) return;
    this._ownAt = Date.now();
    const [engines, models] = await Promise.all([get("/api/engines", { signal }), get("/api/models", { signal })]);
    this._engines.update(engines, this._self?.portrait);
    this._models.update(models.models);
  }

  _show(nodes) {
    this._self = nodes.find((node) => node.state === "self") ?? null;
    const used = nodes.filter((node) => node.state === "self" || node.state === "online").length;
    text(this._told, nodes.length > 1 ? `${used} of ${count(nodes.length, "node")} here` : "");
    const here = new Set(nodes.map(keyOf));
    for (const [key, card] of this._cards) {
      if (here.has(key)) continue;
      card.element.remove();
      this._cards.delete(key);
    }
    if (!this._cards.size) replace(this._grid);
    nodes.forEach((node, at) => {
      let card = this._cards.get(keyOf(node));
      if (!card) {
        const own = node.state === "self" ? el("div", { class: "node-own" }, this._engines.element, this._models.element) : null;
        card = new NodeCard({ own, onchange: this._again, onpair: (view) => openPairing(view, this._again) });
        this._cards.set(keyOf(node), card);
      }
      card.update(node);
      if (this._grid.children[at] !== card.element) this._grid.insertBefore(card.element, this._grid.children[at] ?? null);
    });
  }
}

const keyOf = (node) => node.id ?? node.url;
