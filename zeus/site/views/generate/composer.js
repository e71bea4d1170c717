// The prompt with its model, its picture to begin with and its parameters, and sending it off.
import { ApiError, connection, get, post } from "../../api.js";
import { debounce, el, replace, text } from "../../dom.js";
import { SchemaForm } from "../../form.js";
import { tell, toast } from "../../notices.js";
import { ENGINE, fieldsOf, generate } from "../../videos.js";
import { ModelChoice } from "./models.js";
import { StartImage } from "./startimage.js";

const QUIET = 500;
const SET_ELSEWHERE = ["prompt", "model", "image"];

export class Composer {
  /** `onmade` is called with the id of each job that it began. */
  constructor(onmade) {
    this._onmade = onmade;
    this._form = null;
    this._turn = 0;
    this._prompt = el("textarea", {
      class: "input generate-prompt",
      id: "prompt",
      rows: 4,
      maxlength: 10000,
      placeholder: "A red fox running through snow at dusk",
      "aria-describedby": "prompt-problem",
      oninput: () => text(this._promptProblem, ""),
    });
    this._promptProblem = el("p", { class: "problem", id: "prompt-problem", role: "alert" });
    this._problem = el("p", { class: "problem", role: "alert" });
    this._image = new StartImage();
    this._models = new ModelChoice(() => this._check());
    this._parameters = el("div", {});
    this._button = el(
      "button",
      { class: "button primary generate-go" },
      "Generate",
      el("kbd", { "aria-hidden": "true" }, "Ctrl ↵"),
    );
    this._check = debounce(() => this._dryRun(), QUIET);
    this.element = el(
      "form",
      {
        class: "card stack",
        "aria-label": "New video",
        novalidate: true,
        onsubmit: (event) => this._submit(event),
        onkeydown: (event) => this._onkey(event),
      },
      el(
        "div",
        { class: "field" },
        el("label", { class: "label", for: "prompt" }, "Prompt"),
        this._prompt,
        this._promptProblem,
      ),
      this._image.element,
      this._models.element,
      this._parameters,
      el("div", { class: "generate-end stack" }, this._problem, this._button),
    );
  }

  /** Live until the function that it gives is called. */
  start() {
    if (!this._form) this._load().catch(tell);
    const stop = new AbortController();
    connection.addEventListener("change", () => connection.isLost || this._check(), { signal: stop.signal });
    const ends = [this._models.start(), this._image.start(), () => stop.abort()];
    if (matchMedia("(hover: hover)").matches) this._prompt.focus();
    return () => {
      this._check.cancel();
      for (const end of ends) end();
    };
  }

  givesPreviews(model) {
    return this._models.givesPreviews(model);
  }

  /** Take over what a job was asked for, to change it. */
  fill(job) {
    const fields = fieldsOf(job);
    this._prompt.value = fields.prompt ?? "";
    this._models.choose(fields.model);
    this._form?.fill(fields);
    if (job.args.image) toast(`It began with the picture “${job.args.image}”. Choose that again to use it.`);
    this._prompt.focus();
    this._check();
  }

  async _load() {
    const schema = await get(`/api/engines/${ENGINE}/args`);
    this._form = new SchemaForm(schema, { shown: [], hidden: SET_ELSEWHERE, onchange: () => this._check() });
    replace(this._parameters, this._form.element);
    this._check();
    const { export_formats: formats } = await get(`/api/engines/${ENGINE}?response_type=full`);
    this._form.offer("export_format", formats);
  }

  /** Let the node say what the empty fields come to, and what it would refuse. */
  async _dryRun() {
    if (!this._form) return;
    const mine = (this._turn += 1);
    const args = { ...this._form.values(), prompt: this._prompt.value.trim() || "-", model: this._models.value };
    try {
      const { args: whole } = await post("/api/add_job?dry_run=1", { renderer: ENGINE, args });
      if (mine !== this._turn) return;
      this._clear();
      this._form.hint({ ...whole, seed: this._form.values().seed ?? "Random" });
    } catch (error) {
      if (mine !== this._turn) return;
      if (error instanceof ApiError && error.status === 400 && error.code !== "missing_image") this._fail(error);
      else this._clear();
    }
  }

  _onkey(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    if (!this._button.disabled) this.element.requestSubmit();
  }

  async _submit(event) {
    event.preventDefault();
    this._check.cancel();
    this._turn += 1;
    this._clear();
    if (this._form?.firstInvalid()) return;
    this._button.disabled = true;
    try {
      const image = await this._image.uploaded();
      const fields = { ...this._form?.values(), prompt: this._prompt.value, model: this._models.value, image };
      this._onmade(await generate(fields));
    } catch (error) {
      this._fail(error);
    } finally {
      this._button.disabled = false;
    }
  }

  /** Say what is wrong, where it is wrong. */
  _fail(error) {
    this._clear();
    if (error.name === "AbortError") return;
    const { name, message } = error.field ?? {};
    if (name === "prompt") {
      text(this._promptProblem, message);
      this._prompt.focus();
    } else if (!this._form || !(name ? this._form.fail(name, message) : this._form.failMentioned(error.message))) {
      text(this._problem, error.message);
    }
  }

  _clear() {
    text(this._promptProblem, "");
    text(this._problem, "");
    this._form?.clear();
  }
}
