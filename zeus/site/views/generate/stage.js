// The video that is looked at: while it waits and is made, when it plays, or why there is none.
import { jobUrl, post } from "../../api.js";
import { announce, el, replace, text } from "../../dom.js";
import { count, duration, eta, moment } from "../../format.js";
import { icon } from "../../icons.js";
import { hasEnded, jobs } from "../../jobs.js";
import { tell } from "../../notices.js";
import { load } from "../../pictures.js";
import { deleteAfterQuestion, downloadOf, generateAgain, promptOf, sourceOf } from "../../videos.js";

const FIRST_LOOK = 2500;
const LAST_LOOK = 40000;
const WORDS = {
  queued: "Waiting for its turn",
  waiting: "Waiting",
  running: "Being made",
  paused: "Paused",
  waiting_for_subjobs: "Being made",
};
const IDEAS = [
  "a galaxy of stars above a quiet lake",
  "campfire sparks rising into the night",
  "soft clouds over green hills at sunrise",
];

export class Stage {
  /** `again(id)`: another was begun; `edit(job)`: take it over; `gone(id)`: it was deleted; `givesPreviews(model)`. */
  constructor(actions) {
    this._actions = actions;
    this._is = null;
    this._timer = 0;
    this._picture = null;
    this._stop = new AbortController();
    this.element = el("section", { class: "generate-stage", "aria-label": "The video" });
  }

  /** Show a job; `id` alone while the list has not heard of it. What plays goes on playing. */
  update(id, job) {
    const is = id ? `${id} ${job?.attempt ?? 0} ${stateOf(job)}` : `nothing ${jobs.isComplete} ${jobs.error?.message}`;
    if (is !== this._is) {
      if (stateOf(job) === "finished" && this._is?.endsWith(" live")) announce("The video is finished");
      this._is = is;
      this._build(id, job);
    }
    if (job && !hasEnded(job)) this._move(job);
  }

  /** Nobody looks any more; whoever comes back finds it built anew. */
  rest() {
    this._end();
    this._is = null;
    this.element.querySelector("video")?.pause();
  }

  /** What loads for that which is shown is wanted no more. */
  _end() {
    clearTimeout(this._timer);
    this._picture = null;
    this._stop.abort();
    this._stop = new AbortController();
  }

  _build(id, job) {
    this._end();
    if (!id) replace(this.element, jobs.isComplete ? this._empty() : this._frame(null, trouble(jobs.error?.message)));
    else if (!job || !hasEnded(job)) this._buildLive(id, job);
    else if (job.status === "finished") replace(this.element, this._frame(job, this._player(job)), this._about(job));
    else replace(this.element, this._frame(job, trouble(job.error?.message ?? "It was cancelled.")), this._about(job));
  }

  _empty() {
    const fill = (prompt) => () => this._actions.edit({ args: { prompt } });
    return el(
      "div",
      { class: "generate-frame generate-nothing" },
      el(
        "div",
        { class: "empty" },
        icon("generate", 32),
        el("h2", {}, "Nothing made yet"),
        el("p", {}, "Describe a video, and it appears here while it is made."),
        el(
          "div",
          { class: "row generate-ideas" },
          IDEAS.map((idea) => el("button", { class: "button small", type: "button", onclick: fill(idea) }, idea)),
        ),
      ),
    );
  }

  _buildLive(id, job) {
    this._picture = el("img", { alt: "", hidden: true });
    this._bar = el("progress", { class: "progress", max: 100, "aria-label": "Progress" });
    this._words = el("span", {});
    this._left = el("span", { class: "muted numbers" });
    const cancel = el(
      "button",
      {
        class: "button small",
        type: "button",
        onclick: () => post(jobUrl(id, "cancel", { confirm: 1 })).then((ended) => jobs.put(ended), tell),
      },
      "Cancel",
    );
    replace(
      this.element,
      this._frame(
        job,
        el("div", { class: "generate-wait is-live" }, this._picture),
        el(
          "div",
          { class: "generate-progress" },
          el("div", { class: "row between" }, el("span", { class: "row" }, this._words, this._left), cancel),
          this._bar,
        ),
      ),
      job && this._about(job),
    );
    if (!job) text(this._words, "Sent");
    this._look(id, this._picture, FIRST_LOOK);
  }

  /**
   * Ask for a picture of what is being made, less and less often where there is none: not every model gives one. It ends
   * when another picture's turn has come.
   */
  _look(id, picture, wait) {
    if (picture !== this._picture) return;
    this._timer = setTimeout(() => {
      const job = jobs.get(id);
      const isShown =
        job?.status === "running" && job.percent_complete > 0 && this._actions.givesPreviews(job.args.model);
      if (!isShown) return this._look(id, picture, wait);
      const next = new Image();
      next.onload = () => {
        picture.src = next.src;
        picture.hidden = false;
        this._look(id, picture, FIRST_LOOK);
      };
      next.onerror = () => this._look(id, picture, Math.min(wait * 2, LAST_LOOK));
      next.src = jobUrl(id, "thumbnail", { size: "big", revision: job.revision });
    }, wait);
  }

  _move(job) {
    text(this._words, WORDS[job.status] ?? job.status);
    const frames =
      job.total_frames && job.completed_frames ? `${job.completed_frames} of ${count(job.total_frames, "frame")}` : "";
    text(
      this._left,
      [job.status === "running" && `${job.percent_complete}%`, frames, eta(job.eta_seconds)]
        .filter(Boolean)
        .join(" · "),
    );
    if (job.status === "running" || job.percent_complete) this._bar.value = job.percent_complete;
  }

  _player(job) {
    const { tag, src } = sourceOf(job) ?? { tag: "img", src: jobUrl(job.id, "thumbnail", { size: "big" }) };
    const moves = {
      controls: true,
      loop: true,
      muted: true,
      playsinline: true,
      autoplay: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      "aria-label": promptOf(job),
    };
    const shown = el(tag, tag === "video" ? moves : { alt: promptOf(job) });
    return load(shown, src, {
      signal: this._stop.signal,
      onrefused: (error) => shown.replaceWith(trouble(error?.message ?? "This browser does not show it. Download it to see it.")),
    });
  }

  /** The field of the video's own proportions, in a place as high as the screen allows. */
  _frame(job, ...content) {
    const { width = 16, height = 9 } = job?.args ?? {};
    return el("div", { class: "generate-frame", style: { "--ratio": `${width || 16} / ${height || 9}` } }, content);
  }

  _about(job) {
    const { width, height, num_frames: frames, fps, seed, model } = job.args;
    const facts = [
      model,
      width && height && `${width}×${height}`,
      frames && fps && duration(frames / fps),
      seed !== null && seed !== undefined && `seed ${seed}`,
    ];
    return el(
      "div",
      { class: "generate-about" },
      el("p", { class: "any generate-words" }, promptOf(job)),
      el("p", { class: "muted small numbers", title: moment(job.date_created) }, facts.filter(Boolean).join(" · ")),
      hasEnded(job) && actions(job, this._actions),
    );
  }
}

/** What a job is shown as: new to the list, live, or how it ended. */
function stateOf(job) {
  if (!job) return "new";
  return hasEnded(job) ? job.status : "live";
}

/** In place of a video: why there is none, or nothing yet. */
function trouble(message) {
  return el("div", { class: "generate-wait" }, message && [icon("alert", 28), el("p", { class: "any" }, message)]);
}

/** What can be done with a job that has ended. */
function actions(job, { again, edit, gone }) {
  const repeat = (event) => (job.args.image ? edit(job) : generateAgain(job, event.currentTarget, again));
  const remove = () => deleteAfterQuestion(job).then((isGone) => isGone && gone(job.id), tell);
  return el(
    "div",
    { class: "row" },
    el(
      "button",
      { class: "button small", type: "button", onclick: repeat },
      icon("again", 16),
      "Again with a new seed",
    ),
    el("button", { class: "button small", type: "button", onclick: () => edit(job) }, "Edit"),
    job.status === "finished" &&
      el("a", { class: "button small", href: downloadOf(job), download: "" }, icon("download", 16), "Download"),
    el("a", { class: "button small quiet", href: `#/jobs/${job.id}` }, "Details"),
    el("button", { class: "button small quiet", type: "button", onclick: remove }, icon("trash", 16), "Delete"),
  );
}
