// What a job made: its outputs with their sizes, one, some or all of them to take away.
import { get, jobUrl } from "../../api.js";
import { el, replace, text } from "../../dom.js";
import { bytes, count } from "../../format.js";
import { icon } from "../../icons.js";
import { Refresh } from "../../refresh.js";
import { VirtualList } from "../../virtual.js";

const ROW = 40;
const BETWEEN = 400;

export class Files {
  /** `element` is hidden while there is nothing. */
  constructor(id) {
    this._id = id;
    this._names = [];
    this._chosen = new Set();
    this._sizes = new Map();
    this._told = el("span", { class: "muted small numbers" });
    this._place = el("div", { class: "file-rows", role: "list", "aria-label": "Outputs" });
    this._box = el("div", { class: "file-box", tabindex: 0, role: "group", "aria-label": "Outputs" }, this._place);
    this._all = el("a", { class: "button small", href: jobUrl(id, "download_all"), download: "" }, icon("download", 16), "All as a zip");
    this._some = el("button", { class: "button small", type: "button", hidden: true, onclick: () => this._take() });
    this.element = el("section", { class: "card stack", "aria-label": "Outputs", hidden: true },
      el("div", { class: "row between" }, el("h2", {}, "Outputs"), this._told), this._box, el("div", { class: "row" }, this._all, this._some));
    this._list = new VirtualList(this._place, {
      scroller: this._box, make: () => this._row(), get: (name) => name, height: () => ROW,
    });
    this._refresh = new Refresh((signal) => this._loadSizes(signal));
    this._revision = 0;
  }

  set(names) {
    this._names = [...names].sort(new Intl.Collator("en", { numeric: true }).compare);
    for (const name of this._chosen) if (!names.includes(name)) this._chosen.delete(name);
    this.element.hidden = !names.length;
    if (names.length) this._refresh.want((this._revision += 1));
    text(this._told, names.length > 1 ? count(names.length, "file") : "");
    this._all.hidden = names.length < 2;
    this._list.set(this._names);
    this._list.refresh({ all: true });
    this._showChosen();
  }

  close() {
    this._refresh.close();
    this._list.close();
  }

  _row() {
    let shown = "";
    const check = el("input", { type: "checkbox", onchange: () => {
      if (check.checked) this._chosen.add(shown);
      else this._chosen.delete(shown);
      this._showChosen();
    } });
    const link = el("a", { class: "cut", download: "" });
    const size = el("span", { class: "muted small numbers" });
    const element = el("div", { class: "file-row", role: "listitem" }, el("label", { class: "file-tick" }, check), link, size);
    const show = (name, at) => {
      shown = name;
      element.setAttribute("aria-posinset", at + 1);
      element.setAttribute("aria-setsize", this._names.length);
      check.checked = this._chosen.has(name);
      check.setAttribute("aria-label", `Select ${name}`);
      text(link, name).title = name;
      link.href = jobUrl(this._id, "download", { filename: name });
      const known = this._sizes.get(name);
      text(size, known === undefined ? "" : bytes(known));
    };
    return { element, show };
  }

  async _loadSizes(signal) {
    const files = await get(jobUrl(this._id, "files", { response_type: "full" }), { signal });
    this._sizes = new Map(files.map(({ name, size }) => [name, size]));
    this._list.refresh({ all: true });
  }

  _showChosen() {
    this._some.hidden = !this._chosen.size;
    replace(this._some, icon("download", 16), `${count(this._chosen.size, "file")} one by one`);
  }

  /** One download after the other: browsers drop those that begin at once. */
  async _take() {
    for (const name of this._names.filter((each) => this._chosen.has(each))) {
      const link = el("a", { href: jobUrl(this._id, "download", { filename: name }), download: "", hidden: true });
      document.body.append(link);
      link.click();
      link.remove();
      await new Promise((resolve) => setTimeout(resolve, BETWEEN));
    }
  }
}
