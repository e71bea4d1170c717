// This node's engines: their versions, and installing and removing them.
import { get, post, url } from "../../api.js";
import { ask } from "../../dialog.js";
import { el, replace, text } from "../../dom.js";
import { bytes, engineName, pace } from "../../format.js";
import { icon } from "../../icons.js";
import { tell, toast } from "../../notices.js";
import { once } from "./card.js";

const SOURCES = { configured: "from the settings", managed: "installed by Zeus", bundled: "comes with Zeus", path: "the machine's own", builtin: "built in" };
const STATES = { waiting: "Waits for others", downloading: "Downloading", verifying: "Checking it", unpacking: "Unpacking", checking: "Trying it out", installed: "Installed", failed: "Failed" };

export class OwnEngines {
  /** `onchange` is called when there is something new to be asked for. */
  constructor({ onchange }) {
    this._onchange = onchange;
    this._engines = new Map();
    this._list = el("ul", { class: "node-list" });
    this.element = el("div", { class: "node-part" }, el("h3", {}, "Engines"), this._list);
  }

  /** Whether something is on its way. */
  get isBusy() {
    return [...this._engines.values()].some((each) => each.isBusy);
  }

  /** Show the engines of `/api/engines`, and how fast the node's portrait says that they are. */
  update(found, portrait) {
    for (const [name, engine] of Object.entries(found)) {
      let row = this._engines.get(name);
      if (!row) {
        row = new Row(name, this._onchange);
        this._engines.set(name, row);
        this._list.append(row.element);
      }
      row.update(engine, portrait?.engines[name]?.seconds ?? null);
    }
    for (const [name, row] of this._engines) {
      if (name in found) continue;
      row.element.remove();
      this._engines.delete(name);
    }
  }
}

class Row {
  constructor(name, onchange) {
    Object.assign(this, { _name: name, _onchange: onchange, isBusy: false });
    this._version = el("span", { class: "muted node-version numbers" });
    this._pace = el("span", { class: "muted numbers" });
    this._reason = el("p", { class: "node-no small any" });
    this._downloads = el("div", { class: "node-downloads" });
    this._versions = el("ul", { class: "node-list" });
    this._install = el("div", { class: "node-install" });
    this._more = el("details", { class: "more", ontoggle: () => this._more.open && this._offer() },
      el("summary", {}, el("strong", {}, engineName(name)), this._version, this._pace), el("div", { class: "node-part small" }, this._versions, this._install));
    this.element = el("li", { class: "node-engine" }, this._more, this._reason, this._downloads);
  }

  update(engine, seconds) {
    this.isBusy = engine.downloads.some((each) => !["failed", "installed"].includes(each.state));
    text(this._pace, seconds ? pace(seconds) : "");
    text(this._reason, engine.available ? "" : engine.reason ?? "It cannot run here.").hidden = engine.available;
    const [first, ...rest] = engine.versions.map((each) => each.version);
    text(this._version, first ? `${first}${rest.length ? ` and ${rest.length} more` : ""}` : "none installed");
    once(this._versions, engine.versions, () => engine.versions.map((each) => this._entry(each)));
    this._showDownloads(engine.downloads);
    const failed = JSON.stringify(engine.versions);
    if (this._known !== undefined && this._known !== failed && this._more.open) this._offer();
    this._known = failed;
  }

  _entry({ version, source }) {
    const remove = async () => {
      const isWanted = await ask({ title: `Remove ${this._name} ${version}?`, text: "Jobs that ask for this version need another one or wait until it is installed again.", action: "Remove", danger: true });
      if (!isWanted) return;
      try {
        await post("/api/engines/delete", { engine: this._name, version });
        this._onchange();
      } catch (error) {
        tell(error);
      }
    };
    return el("li", { class: "node-line" }, el("span", { class: "numbers any" }, version), el("span", { class: "muted" }, SOURCES[source] ?? source),
      source === "managed" && el("button", { class: "button quiet small", type: "button", "aria-label": `Remove ${this._name} ${version}`, dataset: { name: version }, onclick: remove }, icon("trash", 14)));
  }

  _showDownloads(downloads) {
    const shown = downloads.filter((each) => each.state !== "installed");
    once(this._downloads, shown, () => shown.map((each) => {
      const told = each.state === "failed" ? each.reason ?? "It failed." : [STATES[each.state] ?? each.state, each.state === "downloading" && each.size && `${bytes(each.bytes)} of ${bytes(each.size)}`].filter(Boolean).join(" · ");
      return el("div", { class: "node-download small" },
        el("div", { class: "node-line" }, el("span", { class: "any" }, `${this._name} ${each.version}`),
          el("span", { class: each.state === "failed" ? "node-no any" : "muted numbers" }, told),
          each.state === "failed" && el("button", { class: "button small", type: "button", dataset: { name: `again ${each.version}` }, onclick: () => this._fetch(each.version) }, "Try again")),
        each.state !== "failed" && el("progress", { class: "progress", max: 100, value: each.percent, "aria-label": `${this._name} ${each.version}: ${told}` }));
    }));
  }

  /** What could be installed, from where it is published. */
  async _offer() {
    if (!this._install.firstChild) replace(this._install, el("p", { class: "muted" }, "Asking what there is…"));
    try {
      const found = await get(url("/api/engines/download_available", { engine: this._name }));
      if (!found.versions.length) {
        replace(this._install, el("p", { class: "muted any" }, found.reason ?? "No other version can be installed."));
        return;
      }
      const versions = el("select", { class: "input", "aria-label": `Version of ${this._name}` }, found.versions.map((version) => el("option", {}, version)));
      replace(this._install, el("div", { class: "node-get" }, versions,
        el("button", { class: "button", type: "button", dataset: { name: "install" }, onclick: () => this._fetch(versions.value) }, icon("download", 16), "Install")));
    } catch (error) {
      replace(this._install, el("p", { class: "muted any" }, error.message));
    }
  }

  async _fetch(version) {
    try {
      await request(this._name, version);
      toast(`${this._name} ${version} is on its way.`);
      this._onchange();
    } catch (error) {
      tell(error);
    }
  }
}

const request = (engine, version) => post(url("/api/engines/download", { engine, version }));
