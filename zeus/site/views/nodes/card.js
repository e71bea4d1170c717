// One node: who it is, how busy, what it does now, and what it can do.
import { request } from "../../api.js";
import { ask } from "../../dialog.js";
import { el, replace, text } from "../../dom.js";
import { ago, bytes, count, engineName, pace } from "../../format.js";
import { icon } from "../../icons.js";
import { tell } from "../../notices.js";

const KINDS = { self: ["This node", "good"], online: ["Online", "good"], offline: ["Offline", ""], unpaired: ["Not paired", "warn"], refused: ["Refused", "bad"] };
const SHOWN = 3;

export class NodeCard {
  /** `own` are further parts of this node's own card; `onchange` is called when a node was removed, `onpair(view)` to pair one. */
  constructor({ own = null, onchange, onpair }) {
    Object.assign(this, { _onchange: onchange, _onpair: onpair });
    this._name = el("h2", { class: "cut" });
    this._state = el("span", { class: "badge" });
    this._about = el("p", { class: "muted small any" });
    this._message = el("p", { class: "node-message small any", hidden: true });
    this._tags = el("div", { class: "row node-tags", hidden: true });
    this._meters = el("div", { class: "node-meters" });
    this._tasks = el("div", { class: "node-tasks" });
    this._engines = el("div", { class: "node-engines" });
    this._actions = el("div", { class: "row" });
    this.element = el("article", { class: `card node-card ${own ? "own" : ""}` },
      el("div", { class: "node-main" },
        el("div", { class: "node-head" }, this._name, this._state), this._about, this._message, this._tags, this._meters, this._tasks,
        own ? null : this._engines, this._actions),
      own);
  }

  /** Show a NodeView. What did not change is left alone, with its focus. */
  update(view) {
    const { portrait } = view;
    this.element.setAttribute("aria-label", view.name);
    text(this._name, view.name).title = view.name;
    const [word, kind] = KINDS[view.state] ?? [view.state, ""];
    text(this._state, word).className = `badge ${kind}`;
    text(this._about, about(view));
    const message = view.message && view.state !== "self" ? view.message : "";
    text(this._message, message).hidden = !message;
    this.element.classList.toggle("away", view.state !== "self" && view.state !== "online");
    once(this._tags, portrait?.tags ?? [], (tags) => tags.map((tag) => el("span", { class: "node-tag" }, tag)));
    this._tags.hidden = !portrait?.tags.length;
    const isHere = portrait && (view.state === "self" || view.state === "online");
    for (const part of [this._meters, this._tasks]) part.hidden = !isHere;
    this._engines.hidden = !portrait;
    if (isHere) {
      this._showMeters(portrait.status);
      once(this._tasks, [portrait.tasks, portrait.slots, portrait.free, view.state], () => tasks(portrait, view.state));
    }
    if (portrait) once(this._engines, portrait.engines, engines);
    once(this._actions, [view.state, view.id, view.url, view.name], () => this._buttons(view));
  }

  _showMeters(status) {
    const used = status.memory_total - status.memory_available;
    const cards = status.gpus.map((gpu) => [gpu.name, gpu.percent, [gpu.percent === null ? null : `${Math.round(gpu.percent)} %`, gpu.memory_total && `${bytes(gpu.memory_total - (gpu.memory_available ?? 0))} of ${bytes(gpu.memory_total)}`].filter(Boolean).join(" · ")]);
    const rows = [
      ["Processor", status.cpu_percent, `${Math.round(status.cpu_percent)} % of ${count(status.cpu_count, "core")}`],
      ["Memory", status.memory_percent, `${bytes(used)} of ${bytes(status.memory_total)}`],
      ...cards,
      ["Disk", 100 * (1 - status.disk.free / Math.max(1, status.disk.total)), `${bytes(status.disk.free)} free`],
    ];
    if (this._meters.childElementCount !== rows.length) {
      replace(this._meters, rows.map(() => el("div", { class: "node-meter" }, el("span", { class: "cut" }), el("span", { class: "muted numbers" }), el("progress", { class: "progress", max: 100 }))));
    }
    rows.forEach(([name, value, told], at) => {
      const [label, said, bar] = this._meters.children[at].children;
      text(label, name).title = name;
      text(said, told);
      bar.hidden = value === null;
      bar.value = value ?? 0;
      bar.setAttribute("aria-label", `${name}: ${told}`);
      bar.classList.toggle("high", value > 90);
    });
  }

  _buttons(view) {
    const remove = async () => {
      const isWanted = await ask({ title: `Remove “${view.name}”?`, text: "The two nodes no longer trust each other. Work that it has of this node is given to others.", action: "Remove", danger: true });
      if (!isWanted) return;
      try {
        await request("DELETE", `/api/nodes/${encodeURIComponent(view.id)}`);
        this._onchange();
      } catch (error) {
        tell(error);
      }
    };
    return [
      view.state === "unpaired" && el("button", { class: "button small primary", type: "button", onclick: () => this._onpair(view) }, "Pair"),
      view.state !== "self" && isLink(view.url) && el("a", { class: "button small", href: view.url, target: "_blank", rel: "noreferrer" }, icon("external", 14), "Its page"),
      ["online", "offline", "refused"].includes(view.state) && view.id && el("button", { class: "button small quiet", type: "button", onclick: remove }, "Remove"),
    ];
  }
}

/** Fill an element when what it shows is another thing than before, but not under the hands of whoever uses it. */
export function once(element, data, make) {
  const key = JSON.stringify(data);
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  const [open, focused] = [new Set([...element.querySelectorAll("details[open]")].map((each) => each.dataset.name)), element.contains(document.activeElement) && document.activeElement.dataset.name];
  replace(element, make(data));
  for (const each of element.querySelectorAll("details")) each.open = open.has(each.dataset.name);
  if (focused) [...element.querySelectorAll("[data-name]")].find((each) => each.dataset.name === focused)?.focus();
}

function about(view) {
  const status = view.portrait?.status;
  const machine = status && [`${status.system_os}`, status.cpu_brand, `Zeus ${status.app_version}`];
  const seen = view.state === "offline" && view.last_seen ? [`seen ${ago(view.last_seen)}`] : [];
  const score = view.portrait?.benchmark ? [`speed ${Math.round(view.portrait.benchmark).toLocaleString("en-GB")}`] : [];
  return [view.url.replace(/^https?:\/\//, ""), ...(machine ?? []), ...score, ...seen].filter(Boolean).join(" · ");
}

function tasks(portrait, state) {
  const free = `${portrait.free} of ${count(portrait.slots, "slot")} free`;
  if (!portrait.tasks.length) return el("p", { class: "muted small" }, `Idle · ${free}`);
  return [
    el("p", { class: "muted small" }, `${count(portrait.tasks.length, "job")} running · ${free}`),
    el("ul", { class: "node-list" }, portrait.tasks.map((task) => el("li", { class: "node-task" },
      state === "self" ? el("a", { class: "cut", href: `#/jobs/${task.job_id}` }, task.name) : el("span", { class: "cut" }, task.name),
      el("span", { class: "muted small numbers" }, `${task.percent_complete} %`),
      el("progress", { class: "progress", max: 100, value: task.percent_complete, "aria-label": `${task.name}: ${task.percent_complete} %` })))),
  ];
}

function engines(found) {
  return el("ul", { class: "node-list" }, Object.entries(found).map(([name, engine]) => el("li", { class: "node-engine" }, engineHead(name, engine, engine.seconds), versionsIn(name, engine.versions))));
}

/** An engine's name, whether it works, and how fast it is. */
function engineHead(name, engine, seconds = null) {
  return el("div", { class: "node-line" }, el("strong", {}, engineName(name)),
    engine.available ? el("span", { class: "muted small numbers" }, seconds && pace(seconds)) : el("span", { class: "node-no small any" }, engine.reason ?? "It cannot run here."));
}

/** Versions in a line, the first few; the rest behind a word. */
function versionsIn(name, versions) {
  const words = versions.map((each) => each.version);
  if (words.length <= SHOWN) return el("div", { class: "muted small any" }, words.join(", "));
  return el("details", { class: "more small", dataset: { name } }, el("summary", { dataset: { name: `more ${name}` } }, `${words.slice(0, SHOWN).join(", ")} and ${words.length - SHOWN} more`),
    el("div", { class: "muted any" }, words.slice(SHOWN).join(", ")));
}

function isLink(url) {
  return /^https?:\/\//.test(url);
}
