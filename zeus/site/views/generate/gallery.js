// The videos that were made, as pictures with their prompts: the newest first, more when asked for.
import { jobUrl } from "../../api.js";
import { el, replace, text } from "../../dom.js";
import { ago, moment } from "../../format.js";
import { icon } from "../../icons.js";
import { hasEnded } from "../../jobs.js";
import { tell } from "../../notices.js";
import { load } from "../../pictures.js";
import { deleteAfterQuestion, downloadOf, generateAgain, promptOf } from "../../videos.js";

const PAGE = 24;
const AGING = 30000;

export class Gallery {
  /** `show(id)`: look at it; `again(id)`: another one was begun; `gone(id)`: it was deleted. */
  constructor(actions) {
    this._actions = actions;
    this._cards = new Map();
    this._most = PAGE;
    this._made = [];
    this._shown = null;
    this._list = el("ul", { class: "generate-cards" });
    this._more = el("button", { class: "button", type: "button", onclick: () => this._showMore() }, "Show more");
    this.element = el(
      "section",
      { class: "stack", hidden: true, "aria-labelledby": "gallery-title" },
      el("h2", { id: "gallery-title" }, "Made before"),
      this._list,
      el("div", { class: "row generate-more" }, this._more),
    );
  }

  /** Its cards age until the function that it gives is called. */
  start() {
    const age = () => this._cards.forEach((card) => card.age());
    const timer = setInterval(age, AGING);
    age();
    return () => clearInterval(timer);
  }

  update(made, shown) {
    this._made = made;
    this._shown = shown;
    this.element.hidden = made.length === 0;
    const jobs = made.slice(0, this._most);
    this._more.hidden = made.length <= this._most;
    const here = new Set(jobs.map((job) => job.id));
    for (const [id, card] of this._cards) {
      if (here.has(id)) continue;
      card.element.remove();
      this._cards.delete(id);
    }
    jobs.forEach((job, at) => this._place(job, at));
  }

  _place(job, at) {
    let card = this._cards.get(job.id);
    if (!card) this._cards.set(job.id, (card = new Card(job, this._actions)));
    card.update(job, job.id === this._shown);
    if (this._list.children[at] !== card.element)
      this._list.insertBefore(card.element, this._list.children[at] ?? null);
  }

  _showMore() {
    const first = this._most;
    this._most += PAGE;
    this.update(this._made, this._shown);
    this._list.children[first]?.querySelector("button").focus();
  }
}

class Card {
  constructor(job, actions) {
    this._revision = -1;
    this._kind = null;
    this._picture = el("span", { class: "generate-thumb" });
    this._seed = el("span", { class: "generate-note muted numbers" });
    this._age = el("span", { class: "generate-note muted numbers cut" });
    this._open = el(
      "button",
      {
        class: "generate-open",
        type: "button",
        "aria-label": `Show “${promptOf(job)}”`,
        onclick: () => actions.show(job.id),
      },
      this._picture,
      el("span", { class: "generate-prompt-text" }, promptOf(job)),
      this._seed,
    );
    this._tools = el("span", { class: "row generate-tools" });
    this._actions = actions;
    this.element = el(
      "li",
      { class: "generate-card" },
      this._open,
      el("div", { class: "row between generate-foot" }, this._age, this._tools),
    );
  }

  update(job, isShown) {
    this._open.setAttribute("aria-current", isShown ? "true" : "false");
    if (job.revision === this._revision) return;
    this._revision = job.revision;
    this._job = job;
    const kind = hasEnded(job) ? job.status : "live";
    if (kind !== this._kind) {
      this._kind = kind;
      replace(this._picture, picture(job));
      replace(this._tools, hasEnded(job) && this._buttons(job));
    }
    text(this._seed, `seed ${job.args.seed ?? "unknown"}`);
    this._age.title = moment(job.date_created);
    this.age();
  }

  /** Say how old it is, or how far. */
  age() {
    const { status, percent_complete: percent, date_created: date } = this._job;
    text(this._age, this._kind === "live" ? `${status.replaceAll("_", " ")} · ${percent}%` : ago(date));
  }

  _buttons(job) {
    const { again, gone, show } = this._actions;
    const small = { class: "button quiet small", type: "button" };
    const repeat = (event) => (job.args.image ? show(job.id) : generateAgain(job, event.currentTarget, again));
    const remove = () => deleteAfterQuestion(job).then((isGone) => isGone && gone(job.id), tell);
    return [
      el(
        "button",
        { ...small, "aria-label": "Again with a new seed", title: "Again with a new seed", onclick: repeat },
        icon("again", 15),
      ),
      job.status === "finished" &&
        el(
          "a",
          {
            class: "button quiet small",
            href: downloadOf(job),
            download: "",
            "aria-label": "Download",
            title: "Download",
          },
          icon("download", 15),
        ),
      el("button", { ...small, "aria-label": "Delete", title: "Delete", onclick: remove }, icon("trash", 15)),
    ];
  }
}

/** A finished job's picture, which moves under the pointer; else what it is instead. */
function picture(job) {
  if (job.status !== "finished") return hasEnded(job) ? icon("alert", 22) : el("span", { class: "pulse" });
  const still = load(el("img", { alt: "", loading: "lazy" }), jobUrl(job.id, "thumbnail"), {
    onrefused: () => still.replaceWith(icon("generate", 22)),
  });
  const moving = () => {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const movie = el("video", {
      src: jobUrl(job.id, "thumbnail", { video_ok: 1 }),
      muted: true,
      loop: true,
      autoplay: true,
      playsinline: true,
    });
    movie.addEventListener("pointerleave", () => movie.replaceWith(still));
    movie.addEventListener("playing", () => still.matches(":hover") && still.replaceWith(movie), { once: true });
    movie.load();
  };
  still.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && moving());
  return still;
}
