// What stands above the list: the search, the filters with what there is to choose from, and the order.
import { debounce, el, replace, text } from "../../dom.js";
import { engineName } from "../../format.js";
import { icon } from "../../icons.js";
import { statusWord, STATUSES } from "../../jobparts.js";
import { jobs } from "../../jobs.js";
import { facets, SORTS } from "./choice.js";

const SEARCH_AFTER = 150;
const NOTHING = { q: "", status: "", engine: "", node: "", parent: "" };

export class Tools {
  /** `onchoose(changes)` is called with what was chosen, `onleave()` when the arrow keys go on to the list. */
  constructor(choice, { onchoose, onleave }) {
    Object.assign(this, { _onchoose: onchoose, _onleave: onleave });
    const choose = (name) => ({ onchange: (event) => onchoose({ [name]: event.target.value }) });
    this._search = debounce(() => onchoose({ q: this._field.value }), SEARCH_AFTER);
    this._field = el("input", {
      class: "input job-search", type: "search", placeholder: "Search by name or id", "aria-label": "Search by name or id",
      value: choice.q, spellcheck: "false", autocomplete: "off", maxlength: 200,
      oninput: () => this._search(), onkeydown: (event) => this._key(event),
    });
    this._engine = el("select", { class: "input", "aria-label": "Engine", ...choose("engine") });
    this._node = el("select", { class: "input", "aria-label": "Node", ...choose("node") });
    this._sort = el("select", { class: "input", "aria-label": "Order", ...choose("sort") },
      Object.entries(SORTS).map(([name, sort]) => el("option", { value: name }, sort.word)));
    this._statuses = el("fieldset", { class: "job-statuses" });
    this._family = el("div", { class: "job-family", hidden: true });
    this.element = el("div", { class: "job-tools" },
      el("div", { class: "job-filters" }, el("div", { class: "job-seek" }, icon("search"), this._field), this._engine, this._node, this._sort),
      this._statuses, this._family);
  }

  focus() {
    this._field.focus();
  }

  /** Show all jobs again. */
  clear() {
    this._field.value = "";
    this._onchoose(NOTHING);
    this.focus();
  }

  close() {
    this._search.cancel();
  }

  /** Show a choice, and what there is to choose from now. */
  show(choice) {
    const found = facets(jobs.list, choice);
    this.element.hidden = !jobs.list.length;
    this._sort.value = choice.sort;
    this._showStatuses(choice, found);
    offer(this._engine, "All engines", found.engines, choice.engine, engineName);
    offer(this._node, "All nodes", found.nodes, choice.node);
    this._family.hidden = !choice.parent;
    if (!choice.parent || this._family.dataset.parent === choice.parent) return;
    this._family.dataset.parent = choice.parent;
    replace(this._family, "The pieces of ", el("a", { class: "any", href: `#/jobs/${encodeURIComponent(choice.parent)}` }, jobs.get(choice.parent)?.name ?? "a job"),
      el("button", { class: "button quiet small", type: "button", onclick: () => this.clear() }, icon("close", 14), "Show all jobs"));
  }

  _showStatuses(choice, found) {
    const there = STATUSES.filter((each) => found.statuses.has(each) || each === choice.status);
    const entries = [["", "All", found.all], ...there.map((each) => [each, statusWord(each), found.statuses.get(each) ?? 0])];
    const names = there.join();
    if (this._statuses.dataset.names !== names) {
      const focused = this._statuses.contains(document.activeElement) ? document.activeElement.value : null;
      this._statuses.dataset.names = names;
      replace(this._statuses, el("legend", { class: "unseen" }, "Status"), el("div", { class: "segments" }, entries.map(([value, word]) => el("label", {},
        el("input", { type: "radio", name: "status", value, onchange: () => this._onchoose({ status: value }) }), word, " ", el("span", { class: "job-number numbers" })))));
      if (focused !== null) [...this._statuses.querySelectorAll("input")].find((each) => each.value === focused)?.focus();
    }
    [...this._statuses.querySelectorAll("label")].forEach((label, at) => {
      text(label.lastChild, entries[at][2].toLocaleString("en-GB"));
      label.firstChild.checked = entries[at][0] === choice.status;
    });
  }

  _key(event) {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      this._onleave();
    } else if (event.key === "Escape" && this._field.value) {
      this._field.value = "";
      this._search();
    }
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
