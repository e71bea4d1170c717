// The Generate view: a prompt on one side, what came of it on the other, and all that was made before.
import { el, replace } from "../dom.js";
import { jobs } from "../jobs.js";
import { videos } from "../videos.js";
import { Composer } from "./generate/composer.js";
import { Gallery } from "./generate/gallery.js";
import { Stage } from "./generate/stage.js";

export const title = "Generate";

/** Made once: what was typed and shown is still there when one comes back. */
let view = null;

export function mount(outlet) {
  view ??= new GenerateView();
  replace(outlet, view.element);
  return view.start();
}

class GenerateView {
  constructor() {
    this._shown = null;
    this._composer = new Composer((id) => this._show(id));
    this._stage = new Stage({
      again: (id) => this._show(id),
      edit: (job) => this._composer.fill(job),
      gone: (id) => this._gone(id),
      givesPreviews: (model) => this._composer.givesPreviews(model),
    });
    this._gallery = new Gallery({
      show: (id) => this._show(id, true),
      again: (id) => this._show(id),
      gone: (id) => this._gone(id),
    });
    this.element = el(
      "div",
      { class: "generate" },
      el("div", { class: "generate-side" }, el("h1", { class: "unseen" }, title), this._composer.element),
      el("div", { class: "generate-made" }, this._stage.element, this._gallery.element),
    );
  }

  /** Live until the function that it gives is called. */
  start() {
    const ends = [this._composer.start(), this._gallery.start(), jobs.subscribe(({ removed }) => this._update(removed))];
    this._update();
    return () => {
      for (const end of ends) end();
      this._stage.rest();
    };
  }

  _update(removed = new Set()) {
    const made = videos();
    if (removed.has(this._shown)) this._shown = null;
    if (this._shown === null && made.length) this._shown = made[0].id;
    this._stage.update(this._shown, this._shown && jobs.get(this._shown));
    this._gallery.update(made, this._shown);
  }

  _show(id, moves = false) {
    this._shown = id;
    this._update();
    if (moves || !isInSight(this._stage.element))
      this._stage.element.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  _gone(id) {
    if (this._shown === id) this._shown = null;
    this._update();
  }
}

function isInSight(element) {
  const box = element.getBoundingClientRect();
  return box.top >= 0 && box.top < innerHeight * 0.6;
}
