// The list of all jobs: live, searched, filtered, sorted, gone through by keys, and ended in bulk.
import { url } from "../api.js";
import { announce, debounce, el, replace, text } from "../dom.js";
import { count } from "../format.js";
import { icon } from "../icons.js";
import { jobs } from "../jobs.js";
import { Thumbnails } from "../thumbnails.js";
import { VirtualList } from "../virtual.js";
import { Bulk } from "./list/bulk.js";
import { Choice, SORTS } from "./list/choice.js";
import { makeRow, rowId } from "./list/row.js";
import { Tools } from "./list/tools.js";

export const title = "Jobs";

const COLUMNS = ["check", "thumb", "main", "status", "progress", "node", "priority", "added"];
const WORDS = { thumb: "Picture", main: "Name", status: "Status", progress: "Progress", node: "Node", priority: "Priority", added: "Added" };
const TICK = 30000;
const FACETS_EVERY = 1000;
const REMEMBER_AFTER = 200;

export function mount(outlet, params) {
  const view = new JobsView(outlet, params);
  return () => view.close();
}

class JobsView {
  constructor(outlet, params) {
    this._choice = new Choice(params);
    this._shown = new Map();
    this._ids = [];
    this._active = null;
    this._stop = new AbortController();
    this.thumbnails = new Thumbnails();
    this._bulk = new Bulk({ onchange: () => this._showSelection(), ondone: () => this._grid.focus({ preventScroll: true }) });
    this._tools = new Tools(this._choice, { onchoose: (changes) => this._choose(changes), onleave: () => this._enter() });
    this._build(outlet);
    this._list = new VirtualList(this._rows, {
      make: () => makeRow(this),
      get: (id) => jobs.get(id),
      height: () => this._height,
      inset: () => this._insets,
      onview: (from, to) => this._keepPictures(new Set(this._ids.slice(from, to))),
    });
    this._listen();
    this._measure();
    this._choose();
    if (history.state?.top) scrollTo(0, history.state.top); // where the browser's "back" comes to
  }

  // What a row asks

  isSelected(id) {
    return this._bulk.has(id);
  }

  isActive(id) {
    return this._active === id;
  }

  toggle(id, event) {
    this._bulk.toggle(id, event.shiftKey ? this._ids : null);
    this._activate(id);
  }

  close() {
    this._stop.abort();
    this._unsubscribe();
    clearInterval(this._ticking);
    clearTimeout(this._facetsTimer);
    this._rememberSoon.cancel();
    for (const part of [this._tools, this._bulk, this._list, this.thumbnails]) part.close();
  }

  _build(outlet) {
    this._all = el("input", { type: "checkbox", "aria-label": "Select all that are shown", onclick: () => this._bulk.toggleAll(this._ids) });
    this._head = el("div", { class: "job-row job-head", role: "row", "aria-rowindex": 1 }, COLUMNS.map((name) => this._column(name)));
    this._heads = el("div", { class: "job-heads", role: "rowgroup" }, this._head);
    this._rows = el("div", { class: "job-rows", role: "rowgroup" });
    this._grid = el("div", {
      class: "job-list", role: "grid", tabindex: 0, "aria-label": "Jobs", "aria-multiselectable": "true",
      onkeydown: (event) => this._key(event), onclick: (event) => this._click(event),
    }, this._heads, this._rows);
    this._nothing = el("div", { hidden: true });
    this._count = el("span", { class: "job-count muted numbers" });
    replace(outlet,
      el("div", { class: "page-head" }, el("h1", {}, "Jobs ", this._count),
        el("a", { class: "button primary", href: "#/new" }, icon("new", 16), "New job")),
      this._tools.element, this._grid, this._nothing, this._bulk.element);
  }

  _column(name) {
    const role = { role: "columnheader", class: `job-cell job-${name}` };
    if (name === "check") return el("div", role, el("label", { class: "job-tick" }, this._all));
    const sorts = Object.keys(SORTS).filter((each) => SORTS[each].column === name);
    if (!sorts.length) return el("div", role, el("span", { class: "unseen" }, WORDS[name]));
    const next = () => this._choose({ sort: sorts[(sorts.indexOf(this._choice.sort) + 1) % sorts.length] });
    return el("div", { ...role, dataset: { sorts: sorts.join(" ") } },
      el("button", { class: "job-sort", type: "button", tabindex: -1, onclick: next }, WORDS[name]));
  }

  _listen() {
    const { signal } = this._stop;
    this._rememberSoon = debounce(() => this._remember(), REMEMBER_AFTER);
    addEventListener("scroll", () => this._rememberSoon(), { passive: true, signal });
    addEventListener("resize", () => this._measure(), { passive: true, signal });
    addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target.closest?.("input, textarea, select, dialog")) return;
      event.preventDefault();
      this._tools.focus();
    }, { signal });
    this._ticking = setInterval(() => this._list.refresh({ all: true }), TICK); // "5 min ago"
    this._unsubscribe = jobs.subscribe((news) => this._hear(news));
  }

  /** The sizes that the style sheet gives. */
  _measure() {
    const style = getComputedStyle(this._grid);
    const [row, above, below] = ["row", "above", "below"].map((name) => parseFloat(style.getPropertyValue(`--job-${name}`)));
    this._height = row;
    this._insets = [above, below];
  }

  /** Keep the place for whoever comes back. */
  _remember() {
    history.replaceState({ ...history.state, top: scrollY }, "");
  }

  _keepPictures(ids) {
    this.thumbnails.keep((id) => ids.has(id));
  }

  /** Change what is shown, and keep it in the address. */
  _choose(changes = {}) {
    this._choice = new Choice({ ...this._choice, ...changes });
    if (Object.keys(changes).length) {
      history.replaceState({ ...history.state, top: 0 }, "", url("#/jobs", this._choice.parameters));
      this._active = null;
      if (this._grid.getBoundingClientRect().top < 0) this._tools.element.scrollIntoView({ block: "start" });
    }
    for (const each of this._head.children) {
      const isIt = each.dataset.sorts?.split(" ").includes(this._choice.sort);
      if (isIt) each.setAttribute("aria-sort", SORTS[this._choice.sort].isDown ? "descending" : "ascending");
      else each.removeAttribute("aria-sort");
    }
    this._tools.show(this._choice);
    this._rebuild();
    if (changes.q !== undefined) announce(`${count(this._ids.length, "job")} found`);
  }

  /** Take in news: where nothing comes, goes or moves, the rows alone change. */
  _hear(news) {
    const isSame = this._wasComplete === jobs.isComplete && [...news.removed].every((id) => !this._shown.has(id)) && [...news.changed].every((id) => {
      const job = jobs.get(id);
      return (job && this._choice.key(job)) === this._shown.get(id);
    });
    if (this._tools.element.hidden && jobs.list.length) this._tools.show(this._choice); // at once: it moves the list down
    this._facetsTimer ||= setTimeout(() => {
      this._facetsTimer = 0;
      this._tools.show(this._choice);
    }, FACETS_EVERY);
    if (isSame && this._ids.length) this._list.refresh();
    else this._rebuild();
  }

  _rebuild() {
    this._wasComplete = jobs.isComplete;
    this._shown = this._choice.apply(jobs.list);
    this._ids = [...this._shown.keys()];
    if (this._active && !this._shown.has(this._active)) this._active = null;
    this._grid.setAttribute("aria-rowcount", this._ids.length + 1);
    this._grid.hidden = !this._ids.length;
    this._nothing.hidden = this._ids.length > 0;
    if (!this._ids.length) this._showNothing();
    this._list.set(this._ids);
    text(this._count, jobs.isComplete || this._ids.length ? this._ids.length.toLocaleString("en-GB") : "");
    this._bulk.keep((id) => this._shown.has(id));
    this._showSelection();
  }

  _showNothing() {
    this._tools.element.hidden = !jobs.list.length;
    const said = (...parts) => replace(this._nothing, el("div", { class: "empty" }, parts));
    if (this._choice.isNarrow && jobs.list.length) {
      said(icon("search", 28), el("h2", {}, "No job is like that"), el("p", {}, "Nothing here has this name, status, engine and node together."),
        el("button", { class: "button", type: "button", onclick: () => this._tools.clear() }, "Show all jobs"));
    } else if (jobs.error && !jobs.isComplete) {
      said(icon("alert", 28), el("h2", {}, "The jobs cannot be shown"), el("p", { class: "any" }, jobs.error.message));
    } else if (!jobs.isComplete) {
      said(el("p", {}, "Loading the jobs…"));
    } else {
      said(icon("jobs", 32), el("h2", {}, "No jobs yet"), el("p", {}, "Describe a video, or bring a scene or a film of your own. What comes of it shows up here."),
        el("div", { class: "row" }, el("a", { class: "button primary", href: "#/generate" }, icon("generate", 16), "Generate a video"),
          el("a", { class: "button", href: "#/new" }, icon("new", 16), "New job")));
    }
  }

  _showSelection() {
    this._all.checked = this._bulk.size > 0 && this._bulk.size === this._ids.length;
    this._all.indeterminate = this._bulk.size > 0 && this._bulk.size < this._ids.length;
    this._list.refresh({ all: true });
  }

  // The keyboard and the pointer

  _enter() {
    this._grid.focus({ preventScroll: true });
    if (!this._active && this._ids.length) this._move(0);
  }

  _key(event) {
    if (event.target !== this._grid && !event.key.startsWith("Arrow")) return; // a checkbox or a link has keys of its own
    const at = this._active ? this._ids.indexOf(this._active) : -1;
    const { page } = this._list;
    const goals = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: this._ids.length - 1, PageDown: at + page, PageUp: at - page };
    if (event.key in goals) {
      this._move(goals[event.key]);
      const [from, to] = [at, this._ids.indexOf(this._active)].sort((a, b) => a - b);
      if (event.shiftKey && from >= 0) this._bulk.add(this._ids.slice(from, to + 1));
    } else if (event.key === "Enter" && this._active) this._list.element(this._active)?.querySelector("a").click();
    else if (event.key === " " && this._active) this.toggle(this._active, event);
    else if (event.key === "Delete" && (this._bulk.size || this._active)) this._bulk.end("delete", this._bulk.size ? undefined : [this._active]);
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) this._bulk.toggleAll(this._ids);
    else if (event.key === "Escape" && this._bulk.size) this._bulk.clear();
    else return;
    event.preventDefault();
  }

  _move(at) {
    const place = Math.min(Math.max(at, 0), this._ids.length - 1);
    this._list.reveal(place);
    this._activate(this._ids[place]);
  }

  _activate(id) {
    this._active = id;
    this._grid.setAttribute("aria-activedescendant", rowId(id));
    this._list.refresh({ all: true });
  }

  /** A row opens its job wherever it is clicked, as long as nothing else is meant by it. */
  _click(event) {
    if (event.target.closest("a")) this._remember();
    const row = event.target.closest(".job-rows > .job-row");
    if (!row || event.target.closest("a, input, label, button") || getSelection()?.type === "Range") return;
    if (event.ctrlKey || event.metaKey || event.shiftKey) this.toggle(row.id.slice(rowId("").length), event);
    else row.querySelector("a").click();
  }
}
