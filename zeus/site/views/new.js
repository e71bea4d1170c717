// The New job view: files that are dropped become jobs, one each, with one form for all that one engine takes.
import { connection, get } from "../api.js";
import { el, replace, text } from "../dom.js";
import { chooseButton, takeDrops } from "../drop.js";
import { count } from "../format.js";
import { icon } from "../icons.js";
import { jobs } from "../jobs.js";
import { tell } from "../notices.js";
import { Entry } from "./new/entry.js";
import { Group } from "./new/group.js";

export const title = "New job";

/** Made once: files go on being sent, and the forms stay filled, while one looks at something else. */
let view = null;

export function mount(outlet) {
  view ??= new NewView();
  replace(outlet, view.element);
  return view.start();
}

class NewView {
  constructor() {
    this._entries = [];
    this._groups = new Map();
    this._added = new Map();
    this._queue = Promise.resolve();
    this._known = null;
    this._schemas = new Map();
    this._hint = el("span", { class: "muted small" }, "Several files become one job each.");
    this._zone = el(
      "div",
      { class: "new-zone" },
      icon("upload", 28),
      el("p", { class: "new-zone-words" }, "Drop files here"),
      el("p", { class: "muted small" }, "Blender scenes, zips of projects, movies, sound, pictures"),
      el(
        "div",
        {},
        chooseButton("Choose files", (files) => this._take(files), { several: true, look: "button primary" }),
      ),
      this._hint,
    );
    this._unsorted = el("ul", { class: "new-entries card", hidden: true, "aria-label": "Files without an engine" });
    this._place = el("div", { class: "stack new-groups" });
    this._done = el("section", { class: "card stack", hidden: true, "aria-labelledby": "added-title" });
    this.element = el(
      "div",
      { class: "new" },
      el("div", { class: "page-head" }, el("h1", {}, title)),
      el("div", { class: "stack" }, this._done, this._zone, this._unsorted, this._place),
    );
  }

  /** Live until the function that it gives is called. */
  start() {
    this._know().catch(tell);
    const stop = new AbortController();
    connection.addEventListener("change", () => connection.isLost || this._renew(), { signal: stop.signal });
    const ends = [takeDrops(this.element, (files) => this._take(files)), jobs.subscribe(() => this._follow()), () => stop.abort()];
    return () => ends.forEach((end) => end());
  }

  /** The node is back: what it said of the jobs may be otherwise now. */
  _renew() {
    for (const group of this._groups.values()) group.renew();
  }

  /** What the node has: its engines' names and their presets, asked for anew each time that one comes here. */
  async _know() {
    const [engines, { presets }] = await Promise.all([get("/api/engines/names"), get("/api/presets")]);
    this._known = { engines, presets };
    this._sort();
  }

  /** An engine's arguments, asked for once. */
  async _learn(engine) {
    if (this._schemas.has(engine)) return;
    this._schemas.set(engine, null);
    try {
      this._schemas.set(engine, await get(`/api/engines/${encodeURIComponent(engine)}/args`));
    } catch (error) {
      this._schemas.delete(engine);
      for (const entry of this._entries) if (entry.engine === engine) entry.refuse(error.message);
    }
    this._sort();
  }

  _take(files) {
    for (const file of files) {
      const entry = new Entry(file, () => this._sort());
      this._entries.push(entry);
      entry.identify().then(() => {
        this._queue = this._queue.then(() => entry.send()); // one after the other: each is there the sooner
      });
    }
    this._sort();
  }

  /** Put each file where it belongs: to the others of its engine, or among those whose engine is not known. */
  _sort() {
    this._entries = this._entries.filter((entry) => !entry.isGone);
    const known = this._entries.filter((entry) => entry.engine && this._known && this._schemas.get(entry.engine));
    const unsorted = this._entries.filter((entry) => !known.includes(entry));
    for (const entry of unsorted) {
      if (entry.engine) this._learn(entry.engine);
      else entry.offerEngines(this._known?.engines ?? []);
    }
    arrange(
      this._unsorted,
      unsorted.map((entry) => entry.element),
    );
    this._unsorted.hidden = unsorted.length === 0;
    const engines = [...new Set(known.map((entry) => entry.engine))];
    for (const name of [...this._groups.keys()].filter((each) => !engines.includes(each))) {
      this._groups.get(name).close();
      this._groups.delete(name);
    }
    for (const name of engines) {
      if (!this._groups.has(name)) {
        const group = new Group(name, this._schemas.get(name), this._known.presets, (made) => this._showAdded(made));
        this._groups.set(name, group);
        this._place.append(group.element);
      }
      this._groups.get(name).update(known.filter((entry) => entry.engine === name));
    }
    this._zone.classList.toggle("is-small", this._entries.length > 0);
  }

  _showAdded(made) {
    for (const job of made) {
      const badge = el("span", { class: "badge" });
      const line = el(
        "li",
        { class: "row between" },
        el("a", { class: "any", href: `#/jobs/${job.id}` }, job.name),
        badge,
      );
      this._added.set(job.id, { job, line, badge });
    }
    const clear = () => {
      this._added.clear();
      this._done.hidden = true;
    };
    replace(
      this._done,
      el(
        "div",
        { class: "row between" },
        el("h2", { id: "added-title", tabindex: -1 }, `${count(made.length, "job")} added`),
        el(
          "button",
          { class: "button quiet small", type: "button", "aria-label": "Close", onclick: clear },
          icon("close", 16),
        ),
      ),
      el(
        "ul",
        { class: "stack new-added" },
        [...this._added.values()].reverse().map((each) => each.line),
      ),
    );
    this._done.hidden = false;
    this._follow();
    this._sort();
    this._done.querySelector("h2").focus();
    this._done.scrollIntoView({ block: "nearest" });
  }

  /** How the jobs stand that were just added. */
  _follow() {
    for (const { job, badge } of this._added.values()) {
      const now = jobs.get(job.id) ?? job;
      badge.className = `badge ${now.status}`;
      text(badge, now.status === "running" ? `running ${now.percent_complete}%` : now.status.replaceAll("_", " "));
    }
  }
}

/** Give an element these children, without moving those that are in place. */
function arrange(parent, children) {
  for (const child of [...parent.children]) if (!children.includes(child)) child.remove();
  children.forEach(
    (child, at) => parent.children[at] !== child && parent.insertBefore(child, parent.children[at] ?? null),
  );
}
