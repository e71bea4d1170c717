// One file that becomes a job: which engine takes it, how far it is sent, and what is found in it.
import { ApiError, get, url } from "../../api.js";
import { el, replace, text, uniqueId } from "../../dom.js";
import { bytes, duration, eta, percentOf, rate } from "../../format.js";
import { icon } from "../../icons.js";
import { Upload } from "../../uploads.js";

const SOON = 100;

export class Entry {
  /** `onchange` is called when its engine, its state or what is known of it changes; not for each byte. */
  constructor(file, onchange) {
    this.file = file;
    this.engine = null;
    this.facts = null;
    this.projectFile = undefined;
    this.isGone = false;
    this.upload = new Upload(file);
    this._onchange = onchange;
    this._state = el("span", { class: "muted small numbers" });
    this._bar = el("progress", { class: "progress", max: 100, hidden: true, "aria-label": `Progress of ${file.name}` });
    this._problem = el("p", { class: "problem", role: "alert" });
    this._extra = el("div", { class: "new-extra" });
    this._remove = el(
      "button",
      {
        class: "button quiet small",
        type: "button",
        "aria-label": `Remove ${file.name}`,
        onclick: () => this.remove(),
      },
      icon("close", 16),
    );
    this.element = el(
      "li",
      { class: "new-entry" },
      icon("file"),
      el(
        "div",
        { class: "new-entry-body" },
        el(
          "div",
          { class: "row between new-line" },
          el("span", { class: "cut new-name", title: file.name }, file.name),
          this._state,
        ),
        this._bar,
        this._problem,
        this._extra,
      ),
      this._remove,
    );
    this.upload.addEventListener("change", () => this._showUpload());
    this._tell(bytes(file.size));
  }

  /** Whether it is here and the node could read it. */
  get isReady() {
    return this.upload.state === "done" && this.facts !== null && !this.isGone;
  }

  /** Find its engine by its name. A zip's is found once what is in it can be seen. */
  async identify() {
    if (this.file.size === 0) return this.fail("The file is empty.");
    if (/\.zip$/i.test(this.file.name)) return undefined;
    try {
      this.engine = await get(url("/api/engines/for_filename", { filename: this.file.name }));
    } catch (error) {
      this.fail(error.message);
    }
    return this._onchange();
  }

  /** Send it, and let the node look at it; nothing where it has no engine, or was removed. */
  async send() {
    if (this.isGone || this._isRefused || this.upload.state !== "waiting") return;
    await this._bring();
  }

  async _bring() {
    this.fail("");
    replace(this._extra);
    try {
      await this.upload.send();
      await this.look();
    } catch (error) {
      if (!this.isGone) this._failAnew(error);
    }
    this._onchange();
  }

  /** Ask what is in it. */
  async look() {
    this._tell("Looking at it…");
    try {
      this.facts = await get(url(`/api/uploads/${this.upload.id}/facts`, { project_file: this.projectFile }));
      this.engine ??= this.facts.engine;
      this.fail("");
      replace(this._extra, this._found());
    } catch (error) {
      if (error instanceof ApiError && error.code === "several_project_files") this._askProject(error.message);
      else if (error.code === "upload_not_found" || error.status >= 409) this._failAnew(error);
      else this.fail(error.message);
    }
    this._tell(bytes(this.file.size));
    this._onchange();
  }

  /** Let one choose the engine by hand where the name tells none. */
  offerEngines(names) {
    if (!this._isRefused || this._choice || this.upload.state !== "waiting" || !names.length || this.file.size === 0)
      return;
    this._choice = el(
      "select",
      {
        class: "input new-engine",
        "aria-label": `Engine for ${this.file.name}`,
        onchange: () => {
          if (!this._choice.value) return;
          this.engine = this._choice.value;
          this.fail("");
          replace(this._extra);
          this._onchange();
          this.send();
        },
      },
      el("option", { value: "" }, "Choose an engine…"),
      names.map((name) => el("option", {}, name)),
    );
    replace(this._extra, this._choice);
  }

  /** Its engine is none of this node's. */
  refuse(message) {
    this.engine = null;
    this.fail(message);
  }

  fail(message) {
    this._isRefused = Boolean(message);
    text(this._problem, message);
  }

  /** What went wrong may go right another time: what is there already is not sent again. */
  _failAnew(error) {
    this.fail(error.message);
    const again = () => {
      this._bring();
      this._onchange();
      this._remove.focus();
    };
    const label = `Try again with ${this.file.name}`;
    const about = { class: "button small", type: "button", "aria-label": label, onclick: again };
    replace(this._extra, el("div", {}, el("button", about, icon("again", 16), "Try again")));
  }

  remove() {
    this.isGone = true;
    this.upload.cancel();
    this._onchange();
  }

  /** It has become a job: the upload is the job's. */
  finish() {
    this.isGone = true;
    this.upload.leave();
  }

  _found() {
    const { width, height, fps, duration: seconds, scenes, made_by: by, missing_files: missing } = this.facts;
    const told = [
      width && `${width}×${height}`,
      fps && `${Number(fps.toFixed(3))} fps`,
      seconds && duration(seconds),
      scenes.length > 1 && `${scenes.length} scenes`,
      by && `saved by ${by}`,
    ];
    return [
      el("p", { class: "help" }, told.filter(Boolean).join(" · ")),
      missing.length > 0 &&
        el(
          "div",
          { class: "new-missing" },
          el("p", {}, "It needs files that it does not hold. Send them together in a zip:"),
          el(
            "ul",
            { class: "mono any" },
            missing.map((name) => el("li", {}, name)),
          ),
        ),
    ];
  }

  /** A zip of several projects: ask which one. */
  _askProject(message) {
    this.fail(message);
    const listed = /which of (.+)\.$/s.exec(message)?.[1] ?? "";
    const names = listed.split(/(?<=\.\w+), /); // a name may hold a comma: it ends with its ending
    const isCut = names.at(-1) === "…";
    const about = {
      class: "input",
      "aria-label": `Project in ${this.file.name}`,
      onchange: () => {
        this.projectFile = choice.value.trim();
        if (this.projectFile) this.look();
      },
    };
    const options = (isCut ? names.slice(0, -1) : names).map((name) => el("option", { value: name }, name));
    const list = isCut && el("datalist", { id: uniqueId("projects") }, options);
    const choice = isCut
      ? el("input", { ...about, type: "text", list: list.id, placeholder: "Its path in the zip", autocomplete: "off" })
      : el("select", about, el("option", { value: "" }, "Choose the project…"), options);
    replace(this._extra, choice, list);
  }

  _showUpload() {
    const { state, sent, file } = this.upload;
    this._bar.hidden = state !== "sending";
    this._bar.value = percentOf(sent, file.size);
    if (state === "sending") this._later();
    if (state === "done") this._tell(bytes(file.size));
  }

  /** Numbers that change many times a second cannot be read. */
  _later() {
    this._timer ??= setTimeout(() => {
      this._timer = undefined;
      if (this.upload.state !== "sending") return;
      const { sent, file, rate: speed, secondsLeft } = this.upload;
      this._tell(
        [`${bytes(sent)} of ${bytes(file.size)}`, speed && rate(speed), eta(secondsLeft)].filter(Boolean).join(" · "),
      );
    }, SOON);
  }

  _tell(message) {
    text(this._state, message);
  }
}
