// What a job has beside its engine's arguments: name, frames, priority, version, sharing, and what it waits for.
import { el, replace } from "../../dom.js";
import { labelled } from "../../form.js";
import { hasEnded, jobs } from "../../jobs.js";

const OFFERED = 100;

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
    this._split = el("input", { type: "checkbox", id: `split-${engine}`, onchange });
    const split = el(
      "div",
      { class: "field" },
      el(
        "div",
        { class: "check" },
        this._split,
        el("label", { class: "label", for: `split-${engine}` }, "Share it among nodes"),
      ),
      el("p", { class: "help" }, "Each node takes a part. A node alone makes all of it."),
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

  /** The job's fields that are filled in. */
  values() {
    const { name, start_frame: start, end_frame: end, priority, renderer_version: version } = this._controls;
    const whole = (input) => (input.value === "" ? undefined : Number(input.value));
    return {
      name: name.value.trim() || undefined,
      start_frame: whole(start) ?? this._usual(end, start),
      end_frame: whole(end) ?? this._usual(start, end),
      priority: whole(priority),
      renderer_version: version.value || undefined,
      enable_split_jobs: this._split.checked || undefined,
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

  /** Offer frames where there are any, with those that are made if none are named. */
  showFrames(start, end) {
    const isNamed = this._controls.start_frame.value || this._controls.end_frame.value;
    this._hideFrames(start === null && !isNamed);
    if (start === null || isNamed) return;
    this._controls.start_frame.placeholder = String(start);
    this._controls.end_frame.placeholder = String(end);
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

  /** One end of the frames is named: the other is the one that its field shows. */
  _usual(other, own) {
    return other.value !== "" && own.placeholder ? Number(own.placeholder) : undefined;
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
