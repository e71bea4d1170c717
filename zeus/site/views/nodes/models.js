// This node's generation models: what is here, how far the rest is, and pulling, removing and choosing them.
import { post } from "../../api.js";
import { ask } from "../../dialog.js";
import { el } from "../../dom.js";
import { bytes, count } from "../../format.js";
import { tell } from "../../notices.js";
import { once } from "./card.js";

const STATES = { absent: ["Not here", ""], pulling: ["Pulling", "accent"], here: ["Here", ""], loading: ["Loading", "accent"], ready: ["Ready", "good"], fault: ["Fault", "bad"] };

/** Whether a model is of interest without being looked for. */
const isNear = (model) => model.state !== "absent" || model.is_default;

export class OwnModels {
  constructor({ onchange }) {
    this._onchange = onchange;
    this._list = el("div", { class: "node-part" });
    this.element = el("div", { class: "node-part", hidden: true }, el("h3", {}, "Models"), this._list);
    this.isBusy = false;
  }

  /** Show the models of `/api/models`. */
  update(models) {
    this.element.hidden = !models.length;
    this.isBusy = models.some((each) => each.state === "pulling" || each.state === "loading");
    const [near, far] = [models.filter(isNear), models.filter((model) => !isNear(model))];
    const rows = (some) => el("ul", { class: "node-list" }, some.map((model) => this._row(model)));
    once(this._list, models, () => [near.length > 0 && rows(near), far.length > 0 && el("details", { class: "more node-far", dataset: { name: "far" } },
      el("summary", { dataset: { name: "far models" } }, `${count(far.length, "model")} not here`), rows(far))]);
  }

  _row(model) {
    const [word, kind] = STATES[model.state] ?? [model.state, ""];
    const isGone = model.state === "absent" || model.state === "fault";
    const size = model.size !== null && model.source !== "builtin" ? bytes(model.size) : "";
    const memory = model.memory ? `needs ${model.memory} GiB` : "";
    const deed = (name, word) => el("button", { class: "button small", type: "button", dataset: { name: `${name} ${model.name}` }, "aria-label": `${word} ${model.name}`, onclick: () => this._do(name, model) }, word);
    return el("li", { class: "node-engine" },
      el("div", { class: "node-line" }, el("span", { class: "any" }, el("strong", {}, model.name), model.is_default && el("span", { class: "muted small" }, " · default")), el("span", { class: `badge ${kind}` }, word)),
      el("p", { class: "muted small any" }, [model.description, size, memory].filter(Boolean).join(" · ")),
      (model.state === "fault" || model.state === "pulling") && el("p", { class: `small any ${model.state === "fault" ? "node-no" : "muted"}` }, model.message),
      model.state === "pulling" && el("progress", { class: "progress", max: 100, value: model.size ? (100 * (model.done ?? 0)) / model.size : undefined, "aria-label": `${model.name}: ${model.message}` }),
      el("div", { class: "row node-deeds" },
        isGone && model.repository && model.source !== "configured" && deed("pull", model.state === "fault" ? "Try again" : "Pull"),
        model.source === "synced" && (model.state !== "absent" || (model.done ?? 0) > 0) && deed("remove", model.state === "pulling" ? "Stop" : "Remove"),
        !model.is_default && (!isGone || model.repository) && deed("use", "Make default")));
  }

  async _do(name, model) {
    if (name === "remove") {
      const isWanted = await ask({ title: `Remove ${model.name}?`, text: "Its weights are removed from this machine. They can be pulled again.", action: "Remove", danger: true });
      if (!isWanted) return;
    }
    try {
      await post(`/api/models/${encodeURIComponent(model.name)}/${name}`);
      this._onchange();
    } catch (error) {
      tell(error);
    }
  }
}
