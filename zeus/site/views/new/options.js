// What a job has beside its engine's arguments: name, frames, priority, version, sharing, and what it waits for.
import { el, replace, text } from "../../dom.js";
import { labelled } from "../../form.js";
import { hasEnded, jobs } from "../../jobs.js";

const OFFERED = 100;
const TAKES = { frames: "some of the frames.", parts: "a part of the film, where the film allows it." };

export class Options {
  constructor(engine, onchange) {
    this._onchange = onchange;
    this._after = [];
    const number = (props) =>
      el("input", {
        class: "input",
        type: "number",
        step: 1,
        inputmode: "numeric",
        autocomplete: "off",
        oninput: onchange,
        ...props,
      });
    this._controls = {
      name: el("input", { class: "input", type: "text", maxlength: 200, autocomplete: "off", oninput: onchange }),
      start_frame: number({ min: -1048574, max: 1048574 }),
      end_frame: number({ min: -1048574, max: 1048574 }),
      priority: number({ min: 0, max: 100, placeholder: "50" }),
      renderer_version: el("select", { class: "input", onchange }, el("option", { value: "" }, "Automatic")),
      depends_on: el("select", { class: "input", onchange: () => this._addWait(), onfocus: () => this._offer() }),
    };
    const help = {
      priority: "0 to 100; the higher one runs first.",
      depends_on: "Jobs that must finish before this one begins.",
    };
    const words = {
      name: "Name",
      start_frame: "First frame",
      end_frame: "Last frame",
      priority: "Priority",
      renderer_version: "Version",
      depends_on: "Runs after",
    };
    this._fields = Object.fromEntries(
      Object.entries(this._controls).map(([key, control]) => [key, labelled(words[key], control, help[key])]),
    );
    this._chips = el("ul", { class: "row new-chips" });
    this._fields.depends_on.element.append(this._chips);
    this._wantsSplit = false;
    this._split = el("input", {
      type: "checkbox",
      id: `split-${engine}`,
      "aria-describedby": `split-${engine}-help`,
      onchange: () => {
        this._wantsSplit = this._split.checked;
        onchange();
      },
    });
    this._splitHelp = el("p", { class: "help", id: `split-${engine}-help` });
    this.showSplit([]);
    const split = el(
      "div",
      { class: "field" },
      el(
        "div",
        { class: "check" },
        this._split,
        el("label", { class: "label", for: `split-${engine}` }, "Share it among nodes"),
      ),
      this._splitHelp,
    );
    const {
      name,
      start_frame: start,
      end_frame: end,
      priority,
      renderer_version: version,
      depends_on: after,
    } = this._fields;
    this.frames = [start.element, end.element];
    this._hideFrames(true);
    this.element = el(
      "details",
      { class: "more" },
      el("summary", {}, "Job options"),
      el("div", { class: "fields" }, name.element, priority.element, version.element, split, after.element),
    );
    this._offer();
  }

  /** The job's fields that are filled in: of the frames perhaps one end alone. */
  values() {
    const { name, start_frame: start, end_frame: end, priority, renderer_version: version } = this._controls;
    const whole = (input) => (input.value === "" ? undefined : Number(input.value));
    return {
      name: name.value.trim() || undefined,
      start_frame: whole(start),
      end_frame: whole(end),
      priority: whole(priority),
      renderer_version: version.value || undefined,
      enable_split_jobs: this._split.checked || undefined, // unchecked while it cannot be
      depends_on: this._after.length ? this._after.map((job) => job.id) : undefined,
    };
  }

  offerVersions(versions) {
    this._controls.renderer_version.append(...versions.map((each) => el("option", { value: each }, each)));
  }

  /** A name is one job's. */
  showName(usual) {
    this._fields.name.element.hidden = usual === null;
    if (usual === null) this._controls.name.value = "";
    else this._controls.name.placeholder = usual;
  }

  /** Offer frames where there are any, with those that each job makes if none are named: `{start, end}`. */
  showFrames(ranges) {
    const { start_frame: start, end_frame: end } = this._controls;
    const isFilled = [start, end].some((each) => each.value || each.validity.badInput);
    this._hideFrames(!ranges.length && !isFilled);
    const usual = (ends) => (new Set(ends).size > 1 ? "Its own" : String(ends[0] ?? ""));
    start.placeholder = usual(ranges.map((each) => each.start));
    end.placeholder = usual(ranges.map((each) => each.end));
  }

  /** How each job could be shared out: by `frames`, in `parts`, "" for not at all, undefined where nobody says. */
  showSplit(ways) {
    const can = ways.filter((way) => way !== "");
    const isNone = ways.length > 0 && !can.length;
    this._split.disabled = isNone;
    this._split.checked = this._wantsSplit && !isNone;
    const some = can.length < ways.length ? `${can.length} of ${ways.length} files: each node takes` : "Each node takes";
    const how = (new Set(can).size === 1 && TAKES[can[0]]) || "a part.";
    text(this._splitHelp, isNone ? "As it is, this runs in one piece." : `${some} ${how} A node alone makes all of it.`);
  }

  /** The first field whose content the browser itself refuses, with the focus moved there; else null. */
  firstInvalid() {
    const found = Object.entries(this._controls).find(([, control]) => !control.validity.valid);
    if (!found) return null;
    const [name, control] = found;
    this.fail(name, control.validationMessage);
    control.focus();
    return control;
  }

  /** Say what is wrong with a field; whether there is one of that name. */
  fail(name, message) {
    this._fields[name]?.fail(message);
    if (this._fields[name] && this.element.contains(this._fields[name].element)) this.element.open = true;
    return name in this._fields;
  }

  clear() {
    for (const field of Object.values(this._fields)) field.fail("");
  }

  _hideFrames(are) {
    for (const field of this.frames) field.hidden = are;
  }

  _offer() {
    const open = jobs.list.filter(
      (job) => !hasEnded(job) && !job.parent && !this._after.some((each) => each.id === job.id),
    );
    replace(
      this._controls.depends_on,
      el("option", { value: "" }, open.length ? "Choose a job…" : "No job to wait for"),
      open.slice(0, OFFERED).map((job) => el("option", { value: job.id }, job.name)),
    );
  }

  _addWait() {
    const job = jobs.get(this._controls.depends_on.value);
    if (job) this._after.push(job);
    this._showWaits();
  }

  _showWaits() {
    replace(
      this._chips,
      this._after.map((job) =>
        el(
          "li",
          {},
          el(
            "button",
            {
              class: "button small",
              type: "button",
              "aria-label": `Do not wait for ${job.name}`,
              onclick: () => {
                this._after = this._after.filter((each) => each !== job);
                this._showWaits();
              },
            },
            el("span", { class: "cut new-chip" }, job.name),
            " ×",
          ),
        ),
      ),
    );
    this._offer();
    this._onchange();
  }
}
