// The list of all jobs: live, searched, filtered, sorted, gone through by keys, and ended in bulk.
import { url } from "../api.js";
import { announce, debounce, el, replace, text } from "../dom.js";
import { count, engineName } from "../format.js";
import { icon } from "../icons.js";
import { endAll, statusWord, STATUSES } from "../jobparts.js";
import { jobs } from "../jobs.js";
import { tell, toast } from "../notices.js";
import { Thumbnails } from "../thumbnails.js";
import { VirtualList } from "../virtual.js";
import { Choice, facets, SORTS } from "./list/choice.js";
import { makeRow, rowId } from "./list/row.js";

export const title = "Jobs";

const COLUMNS = [["check", "Select"], ["thumb", "Picture"], ["name", "Name"], ["status", "Status"], ["progress", "Progress"], ["node", "Node"], ["priority", "Priority"], ["added", "Added"]];
const TICK = 30000;
const FACETS_EVERY = 1000;

export function mount(outlet, params) {
  const view = new JobsView(outlet, params);
  return () => view.close();
}

class JobsView {
  constructor(outlet, params) {
    this._choice = new Choice(params);
    this._shown = new Map();
    this._ids = [];
    this._selected = new Set();
    this._active = null;
    this._from = null;
    this._stop = new AbortController();
    this.thumbnails = new Thumbnails();
    this._build(outlet);
    this._list = new VirtualList(this._rows, {
      make: () => makeRow(this),
      get: (id) => jobs.get(id),
      height: () => this._height,
      inset: () => this._insets,
      onview: (from, to) => this.thumbnails.keep((id) => this._ids.slice(from, to).includes(id)),
    });
    this._listen();
    this._measure();
    this._choose();
    this._restore();
  }

  isSelected(id) {
    return this._selected.has(id);
  }

  isActive(id) {
    return this._active === id;
  }

  /** Select a job or not; with Shift all between it and the last one that was. */
  toggle(id, event) {
    const isWanted = !this._selected.has(id);
    const [from, to] = [this._ids.indexOf(this._from), this._ids.indexOf(id)].sort((a, b) => a - b);
    const ids = event?.shiftKey && from >= 0 ? this._ids.slice(from, to + 1) : [id];
    for (const each of ids) isWanted ? this._selected.add(each) : this._selected.delete(each);
    this._from = id;
    this._activate(id);
    this._showSelection();
  }

  close() {
    this._stop.abort();
    this._unsubscribe();
    clearInterval(this._ticking);
    clearTimeout(this._facetsTimer);
    this._remember.cancel();
    this._search.cancel();
    this._list.close();
    this.thumbnails.close();
  }

  _build(outlet) {
    const choose = (name) => ({ onchange: (event) => this._choose({ [name]: event.target.value }) });
    this._field = el("input", {
      class: "input job-search", type: "search", placeholder: "Search by name or id", "aria-label": "Search by name or id",
      value: this._choice.q, spellcheck: "false", autocomplete: "off", maxlength: 200,
      oninput: () => this._search(), onkeydown: (event) => this._fromSearch(event),
    });
    this._statuses = el("fieldset", { class: "job-statuses" });
    this._engine = el("select", { class: "input", "aria-label": "Engine", ...choose("engine") });
    this._node = el("select", { class: "input", "aria-label": "Node", ...choose("node") });
    this._sort = el("select", { class: "input", "aria-label": "Order", ...choose("sort") },
      Object.entries(SORTS).map(([name, sort]) => el("option", { value: name }, sort.word)));
    this._family = el("div", { class: "job-family", hidden: true });
    this._all = el("input", { type: "checkbox", "aria-label": "Select all that are shown", onclick: () => this._toggleAll() });
    this._bulk = el("div", { class: "job-bulk", role: "region", "aria-label": "Selected jobs", hidden: true });
    this._head = el("div", { class: "job-row job-head", role: "row", "aria-rowindex": 1 }, COLUMNS.map((each) => this._column(...each)));
    this._rows = el("div", { class: "job-rows", role: "rowgroup" });
    this._grid = el("div", {
      class: "job-list", role: "grid", tabindex: 0, "aria-label": "Jobs", "aria-multiselectable": "true",
      onkeydown: (event) => this._key(event), onclick: (event) => this._click(event),
    }, el("div", { class: "job-heads", role: "rowgroup" }, this._head), this._rows);
    this._nothing = el("div", { hidden: true });
    this._count = el("span", { class: "job-count muted numbers" });
    this._tools = el("div", { class: "job-tools" },
      el("div", { class: "job-filters" }, el("div", { class: "job-seek" }, icon("search"), this._field), this._engine, this._node, this._sort),
      this._statuses, this._family);
    replace(outlet,
      el("div", { class: "page-head" },
        el("h1", {}, "Jobs ", this._count),
        el("a", { class: "button primary", href: "#/new" }, icon("new", 16), "New job")),
      this._tools, this._grid, this._nothing, this._bulk);
  }

  _column(name, word) {
    const role = { role: "columnheader", class: `job-cell job-${name === "name" ? "main" : name}` };
    if (name === "check") return el("div", role, el("label", { class: "job-tick" }, this._all));
    const sorts = Object.keys(SORTS).filter((each) => SORTS[each].column === name);
    if (!sorts.length) return el("div", role, el("span", { class: "unseen" }, word));
    const next = () => this._choose({ sort: sorts[(sorts.indexOf(this._choice.sort) + 1) % sorts.length] });
    return el("div", { ...role, dataset: { sorts: sorts.join(" ") } },
      el("button", { class: "job-sort", type: "button", tabindex: -1, onclick: next }, word));
  }

  _listen() {
    const { signal } = this._stop;
    this._search = debounce(() => this._choose({ q: this._field.value }), 150);
    this._remember = debounce(() => history.replaceState({ ...history.state, top: scrollY }, ""), 200);
    addEventListener("scroll", () => this._remember(), { passive: true, signal });
    addEventListener("resize", () => this._measure(), { passive: true, signal });
    addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target.closest("input, textarea, select, dialog")) return;
      event.preventDefault();
      this._field.focus();
    }, { signal });
    this._ticking = setInterval(() => this._list.refresh({ all: true }), TICK); // "5 min ago"
    this._unsubscribe = jobs.subscribe((news) => this._hear(news));
  }

  /** The list as it was left: the place that the browser's "back" comes to. */
  _restore() {
    const top = history.state?.top;
    if (top) scrollTo(0, top);
    this._list.draw();
  }

  /** The sizes that the style sheet gives. */
  _measure() {
    const style = getComputedStyle(this._grid);
    this._height = parseFloat(style.getPropertyValue("--job-row"));
    const head = this._head.parentElement;
    const above = parseFloat(getComputedStyle(head).top) || parseFloat(style.getPropertyValue("--job-above"));
    this._insets = [above + head.offsetHeight, parseFloat(style.getPropertyValue("--job-below"))];
  }

  /** Change what is shown, and keep it in the address. */
  _choose(changes = {}) {
    this._choice = new Choice({ ...this._choice, ...changes });
    if (Object.keys(changes).length) {
      history.replaceState({ ...history.state, top: 0 }, "", url("#/jobs", this._choice.parameters));
      this._active = null;
      if (this._grid.getBoundingClientRect().top < 0) this._tools.scrollIntoView({ block: "start" });
    }
    this._sort.value = this._choice.sort;
    for (const each of this._head.children) {
      const isIt = each.dataset.sorts?.split(" ").includes(this._choice.sort);
      if (isIt) each.setAttribute("aria-sort", ["oldest", "name", "status", "left", "node"].includes(this._choice.sort) ? "ascending" : "descending");
      else each.removeAttribute("aria-sort");
    }
    this._showFacets();
    this._rebuild();
    if (changes.q !== undefined) announce(`${count(this._ids.length, "job")} found`);
  }

  _hear(news) {
    const isSame = [...news.removed].every((id) => !this._shown.has(id)) && [...news.changed].every((id) => {
      const job = jobs.get(id);
      return (job && this._choice.key(job)) === this._shown.get(id);
    });
    this._facetsTimer ||= setTimeout(() => {
      this._facetsTimer = 0;
      this._showFacets();
    }, FACETS_EVERY);
    if (isSame && (this._ids.length || !this._nothing.hidden) && this._wasComplete === jobs.isComplete) this._list.refresh();
    else this._rebuild();
  }

  _rebuild() {
    this._wasComplete = jobs.isComplete;
    this._shown = this._choice.apply(jobs.list);
    this._ids = [...this._shown.keys()];
    const gone = [...this._selected].filter((id) => !this._shown.has(id));
    for (const id of gone) this._selected.delete(id);
    if (this._active && !this._shown.has(this._active)) this._active = null;
    this._grid.setAttribute("aria-rowcount", this._ids.length + 1);
    const isEmpty = !this._ids.length;
    this._grid.hidden = isEmpty;
    this._nothing.hidden = !isEmpty;
    if (isEmpty) this._showNothing();
    this._list.set(this._ids);
    text(this._count, jobs.isComplete || this._ids.length ? this._ids.length.toLocaleString("en-GB") : "");
    this._showSelection();
  }

  _showNothing() {
    this._tools.hidden = !jobs.list.length;
    if (this._choice.isNarrow && jobs.list.length) {
      replace(this._nothing, el("div", { class: "empty" }, icon("search", 28), el("h2", {}, "No job is like that"),
        el("p", {}, "Nothing here has this name, status, engine and node together."),
        el("button", { class: "button", type: "button", onclick: () => this._clear() }, "Show all jobs")));
    } else if (jobs.error && !jobs.isComplete) {
      replace(this._nothing, el("div", { class: "empty" }, icon("alert", 28), el("h2", {}, "The jobs cannot be shown"), el("p", { class: "any" }, jobs.error.message)));
    } else if (!jobs.isComplete) {
      replace(this._nothing, el("div", { class: "empty", "aria-busy": "true" }, "Loading the jobs…"));
    } else {
      replace(this._nothing, el("div", { class: "empty" }, icon("jobs", 32), el("h2", {}, "No jobs yet"),
        el("p", {}, "Describe a video, or bring a scene or a film of your own. What comes of it shows up here."),
        el("div", { class: "row" },
          el("a", { class: "button primary", href: "#/generate" }, icon("generate", 16), "Generate a video"),
          el("a", { class: "button", href: "#/new" }, icon("new", 16), "New job"))));
    }
  }

  _clear() {
    this._field.value = "";
    this._choose({ q: "", status: "", engine: "", node: "", parent: "" });
    this._field.focus();
  }

  _showFacets() {
    const found = facets(jobs.list, this._choice);
    this._tools.hidden = !jobs.list.length;
    const entries = [["", "All", found.all], ...STATUSES.filter((each) => found.statuses.has(each) || each === this._choice.status).map((each) => [each, statusWord(each), found.statuses.get(each) ?? 0])];
    const names = entries.map(([value]) => value).join();
    if (this._statuses.dataset.names !== names) {
      this._statuses.dataset.names = names;
      const focused = this._statuses.contains(document.activeElement) ? document.activeElement.value : null;
      replace(this._statuses, el("legend", { class: "unseen" }, "Status"), el("div", { class: "segments" }, entries.map(([value, word]) => el("label", {},
        el("input", { type: "radio", name: "status", value, onchange: () => this._choose({ status: value }) }), word, " ", el("span", { class: "job-number numbers" })))));
      if (focused !== null) this._statuses.querySelector(`input[value="${focused}"]`)?.focus();
    }
    [...this._statuses.querySelectorAll("label")].forEach((label, at) => {
      text(label.lastChild, entries[at][2].toLocaleString("en-GB"));
      label.firstChild.checked = entries[at][0] === this._choice.status;
    });
    offer(this._engine, "All engines", found.engines, this._choice.engine, engineName);
    offer(this._node, "All nodes", found.nodes, this._choice.node);
    const parent = this._choice.parent;
    this._family.hidden = !parent;
    if (parent && !this._family.firstChild) {
      replace(this._family, "The pieces of ", el("a", { href: `#/jobs/${encodeURIComponent(parent)}` }, jobs.get(parent)?.name ?? "a job"),
        el("button", { class: "button quiet small", type: "button", onclick: () => this._clear() }, icon("close", 14), "Show all jobs"));
    }
  }

  // Selection and what is done with it

  _toggleAll() {
    if (this._selected.size === this._ids.length) this._selected.clear();
    else this._selected = new Set(this._ids);
    this._showSelection();
  }

  _showSelection() {
    const number = this._selected.size;
    this._all.checked = number > 0 && number === this._ids.length;
    this._all.indeterminate = number > 0 && number < this._ids.length;
    this._list.refresh({ all: true });
    if (this._bulk.hidden === !number && this._bulk.dataset.number === String(number)) return;
    this._bulk.hidden = !number;
    this._bulk.dataset.number = number;
    if (this._ending) return;
    const deed = (name, word, kind) => el("button", { class: `button small ${kind}`, type: "button", onclick: () => this._end(name) }, word);
    replace(this._bulk, el("strong", { class: "numbers" }, `${number.toLocaleString("en-GB")} selected`),
      deed("cancel", "Cancel", ""), deed("delete", "Delete", "danger"),
      el("button", { class: "button quiet small", type: "button", onclick: () => this._deselect() }, "Deselect"));
    announce(number ? `${count(number, "job")} selected` : "None selected");
  }

  _deselect() {
    this._selected.clear();
    this._showSelection();
    this._grid.focus({ preventScroll: true });
  }

  async _end(deed, ids = [...this._selected]) {
    if (!ids.length || this._ending) return;
    const stop = (this._ending = new AbortController());
    const state = el("strong", { class: "numbers" });
    const words = deed === "delete" ? "Deleting" : "Cancelling";
    const onprogress = (done, all) => {
      text(state, `${words} ${done.toLocaleString("en-GB")} of ${all.toLocaleString("en-GB")}`);
      if (!state.isConnected) replace(this._bulk, state, el("button", { class: "button quiet small", type: "button", onclick: () => stop.abort() }, "Stop"));
    };
    const errors = await endAll(ids, deed, { onprogress: ids.length > 1 ? onprogress : undefined, signal: stop.signal });
    this._ending = null;
    if (this._stop.signal.aborted) return;
    this._bulk.dataset.number = "";
    if (errors === null) return;
    this._selected.clear();
    this._showSelection();
    this._grid.focus({ preventScroll: true });
    if (errors.length) tell(errors[0]);
    const done = ids.length - errors.length;
    if (done > 0) toast(deed === "delete" ? `${count(done, "job")} deleted` : `${count(done, "job")} cancelled`);
  }

  // The keyboard and the pointer

  _fromSearch(event) {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      this._grid.focus({ preventScroll: true });
      if (!this._active) this._move(0);
    } else if (event.key === "Escape" && this._field.value) {
      this._field.value = "";
      this._search();
    }
  }

  _key(event) {
    if (event.target.closest("input, button") && event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const at = this._active ? this._ids.indexOf(this._active) : -1;
    const goals = { ArrowDown: at + 1, ArrowUp: Math.max(0, at - 1), Home: 0, End: this._ids.length - 1, PageDown: at + this._list.page, PageUp: at - this._list.page };
    if (event.key in goals) {
      const before = this._active;
      this._move(goals[event.key]);
      if (event.shiftKey && before && before !== this._active) {
        this._selected.add(before).add(this._active);
        this._showSelection();
      }
    } else if (event.key === "Enter" && this._active) location.hash = `#/jobs/${this._active}`;
    else if (event.key === " " && this._active) this.toggle(this._active, event);
    else if (event.key === "Delete") this._end("delete", this._selected.size ? [...this._selected] : [this._active].filter(Boolean));
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) this._toggleAll();
    else if (event.key === "Escape" && this._selected.size) this._deselect();
    else return;
    event.preventDefault();
  }

  _move(at) {
    const place = Math.min(Math.max(at, 0), this._ids.length - 1);
    this._activate(this._ids[place]);
    this._list.reveal(place);
  }

  _activate(id) {
    this._active = id;
    this._grid.setAttribute("aria-activedescendant", rowId(id));
    this._list.refresh({ all: true });
  }

  /** A row opens its job wherever it is clicked, as long as nothing else is meant by it. */
  _click(event) {
    const row = event.target.closest(".job-rows > .job-row");
    if (!row || event.target.closest("a, input, label, button") || getSelection()?.type === "Range") return;
    if (event.ctrlKey || event.metaKey || event.shiftKey) this.toggle(row.id.slice(rowId("").length), event);
    else row.querySelector("a").click();
  }
}

/** The options of a filter: all, and those that occur. */
function offer(select, all, names, chosen, word = String) {
  const wanted = chosen && !names.includes(chosen) ? [...names, chosen] : names;
  const known = [...select.options].slice(1).map((option) => option.value);
  if (!select.options.length || known.join("\n") !== wanted.join("\n")) {
    replace(select, el("option", { value: "" }, all), wanted.map((name) => el("option", { value: name }, word(name))));
  }
  select.value = chosen;
  select.hidden = wanted.length < 2 && !chosen;
}
