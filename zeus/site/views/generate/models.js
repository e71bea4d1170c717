// The choice of the model, and whether it is ready: live, with how far it is or what is wrong.
import { ApiError, get, post } from "../../api.js";
import { el, replace, text } from "../../dom.js";
import { percentOf } from "../../format.js";
import { tell } from "../../notices.js";

const SOON = 2000;
const LATER = 15000;
const LOOKS = { ready: "good", here: "good", pulling: "accent", loading: "accent", absent: "warn", fault: "bad" };
const WORDS = {
  ready: "Ready",
  here: "Ready",
  pulling: "Pulling",
  loading: "Loading",
  absent: "Not here",
  fault: "At fault",
};

export class ModelChoice {
  constructor(onchange) {
    this._models = [];
    this._status = null;
    this._wanted = null;
    this._select = el("select", {
      class: "input",
      id: "model",
      "aria-describedby": "model-status",
      onchange: () => {
        this._show();
        onchange();
      },
    });
    this._field = el(
      "div",
      { class: "field", hidden: true },
      el("label", { class: "label", for: "model" }, "Model"),
      this._select,
    );
    this._badge = el("span", { class: "badge" }, "Asking…");
    this._message = el("p", { class: "help any" });
    this._progress = el("progress", {
      class: "progress",
      max: 100,
      hidden: true,
      "aria-label": "Progress of the model",
    });
    this._pull = el(
      "button",
      { class: "button small", type: "button", hidden: true, onclick: () => this._fetch() },
      "Fetch it",
    );
    this.element = el(
      "div",
      { class: "stack generate-model" },
      this._field,
      el(
        "div",
        { class: "field", id: "model-status", "aria-live": "polite" },
        el("div", { class: "row" }, this._badge, this._pull),
        this._message,
      ),
      this._progress,
    );
  }

  /** The name of the chosen model, or undefined for the node's own choice. */
  get value() {
    return this._chosen?.name;
  }

  /** Whether a model shows how far it is: what draws without weights is too quick for that. */
  givesPreviews(name) {
    return this._models.some((model) => model.name === name && model.source !== "builtin");
  }

  choose(name) {
    this._wanted = name;
    if (this._models.some((model) => model.name === name)) this._select.value = name;
    this._show();
  }

  /** Ask again and again until the function that it gives is called. */
  start() {
    const stop = new AbortController();
    this._run(stop.signal);
    return () => stop.abort();
  }

  get _chosen() {
    return this._models.find((model) => model.name === this._select.value);
  }

  async _run(signal) {
    while (!signal.aborted) {
      try {
        const [{ models }, status] = await Promise.all([
          get("/api/models", { signal }),
          get("/api/model-status", { signal }),
        ]);
        this._offer(models);
        this._status = status;
        this._show();
      } catch (error) {
        if (signal.aborted) return;
        this._say("bad", "Unknown", error.message);
      }
      const isMoving = /pulling|loading/.test(this._chosen?.state) || this._status?.building;
      await new Promise((resolve) => setTimeout(resolve, isMoving ? SOON : LATER));
    }
  }

  _offer(models) {
    const names = (list) => list.map((model) => model.name + model.is_default).join();
    const isNew = names(models) !== names(this._models);
    this._models = models;
    this._field.hidden = models.length === 0;
    if (!isNew) return;
    const chosen = this._wanted ?? (this._select.value || models.find((model) => model.is_default)?.name);
    replace(
      this._select,
      models.map((model) => el("option", { value: model.name }, model.name + (model.is_default ? " (default)" : ""))),
    );
    if (models.some((model) => model.name === chosen)) this._select.value = chosen;
  }

  /** The node itself tells of its default model: a peer may have it where this machine has not. */
  _show() {
    const model = this._chosen;
    this._pull.hidden = !(model?.source === "synced" && (model.state === "absent" || model.state === "fault"));
    if (!model || model.is_default) return this._showStatus(model?.description);
    this._say(LOOKS[model.state], WORDS[model.state], model.state === "ready" ? model.description : model.message);
    this._move(LOOKS[model.state] === "accent", model.size ? percentOf(model.done ?? 0, model.size) : null);
  }

  _showStatus(description) {
    if (!this._status) return;
    const { ready, building, message } = this._status;
    const [look, word] = ready ? ["good", "Ready"] : building ? ["accent", "Getting ready"] : ["bad", "Not ready"];
    this._say(look, word, (ready && description) || message);
    const told = /(\d+)\s?%/.exec(message);
    this._move(building, told && Number(told[1]));
  }

  _say(look, word, message) {
    this._badge.className = `badge ${look}`;
    text(this._badge, word);
    text(this._message, message);
  }

  _move(isMoving, percent) {
    this._progress.hidden = !isMoving;
    if (percent === null) this._progress.removeAttribute("value");
    else this._progress.value = percent;
  }

  async _fetch() {
    try {
      const model = await post(`/api/models/${encodeURIComponent(this.value)}/pull`);
      this._offer(this._models.map((each) => (each.name === model.name ? model : each)));
      this._show();
    } catch (error) {
      if (error instanceof ApiError) this._say("bad", WORDS.fault, error.message);
      else tell(error);
    }
  }
}
