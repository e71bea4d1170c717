// One job: what it looks like, how far it is, why it waits or failed, and all that can be done with it.
import { get, jobUrl } from "../api.js";
import { announce, el, replace, text } from "../dom.js";
import { between, duration, engineName, eta, moment } from "../format.js";
import { icon } from "../icons.js";
import { act, badge, can, endAll, frames, setStatus, statusWord } from "../jobparts.js";
import { hasEnded, jobs } from "../jobs.js";
import { tell } from "../notices.js";
import { Refresh } from "../refresh.js";
import { Files } from "./job/files.js";
import { Frames } from "./job/frames.js";
import { Log } from "./job/log.js";
import { Pieces } from "./job/pieces.js";
import { Stage } from "./job/stage.js";

export const title = "Job";

const WHY_EVERY = 5000;
const ELSEWHERE_EVERY = 2000;
const STANDS = new Set(["queued", "waiting", "paused", "waiting_for_subjobs"]);
/** What the node answers where there is no such job. */
const UNKNOWN = [400, 404];
const DEEDS = { pause: ["Pause", "pause"], resume: ["Resume", "play"], retry: ["Try again", "again"], cancel: ["Cancel", "close"] };

export function mount(outlet, { id }) {
  const view = new JobView(outlet, id);
  return () => view.close();
}

class JobView {
  constructor(outlet, id) {
    this._id = id;
    this._outlet = outlet;
    this._job = null;
    this._names = [];
    this._stop = new AbortController();
    this._unsubscribe = jobs.subscribe((news) => this._hear(news));
    this._elsewhere = new Refresh((signal) => this._ask(signal), { pause: ELSEWHERE_EVERY });
    this._parts = [this._elsewhere];
    this._begin();
  }

  close() {
    this._stop.abort();
    this._unsubscribe();
    clearTimeout(this._waiting);
    clearInterval(this._ticking);
    for (const part of this._parts) part.close();
  }

  _begin() {
    const known = jobs.get(this._id);
    if (known) return this._show(known);
    this._waiting = setTimeout(() => replace(this._outlet, el("div", { class: "empty" }, el("p", { "aria-busy": "true" }, "Loading the job…"), this._elsewhere.problem)), 300);
    this._elsewhere.want(this._id);
  }

  /** Ask for a job that the list does not have, and go on asking: it may be another node's. */
  async _ask(signal) {
    if (jobs.get(this._id)) return;
    try {
      this._show(await get(jobUrl(this._id), { signal }));
      this._elsewhere.again();
    } catch (error) {
      if (!UNKNOWN.includes(error.status)) throw error;
      this._fail(error.message);
    }
  }

  _hear(news) {
    if (news.removed.has(this._id) && this._job) this._fail("It was deleted, with all that it made.");
    else if (news.changed.has(this._id)) this._show(jobs.get(this._id));
  }

  _fail(message) {
    const job = this._job;
    this.close();
    replace(this._outlet, el("div", { class: "empty" }, icon("jobs", 32), el("h1", {}, job ? "This job is gone" : "There is no such job"),
      el("p", { class: "any" }, message), el("a", { class: "button", href: "#/jobs" }, "All jobs")));
  }

  _show(job) {
    if (!job || this._stop.signal.aborted || (this._job && job.revision < this._job.revision)) return;
    if (!this._job) this._build();
    else if (this._job.status !== job.status) announce(`${job.name}: ${statusWord(job.status)}`);
    this._job = job;
    document.title = `${job.name} · Zeus`;
    this._showHead(job);
    this._showTrouble(job);
    this._showFacts(job);
    this._frames.update(job);
    this._pieces.update(job);
    this._log.update(job);
    this._stage.update(job, this._names);
    this._files.want(`${job.file_count}.${job.attempt}.${hasEnded(job)}`);
    this._why.want(STANDS.has(job.status) ? job.revision : `no ${job.status}`);
  }

  _build() {
    clearTimeout(this._waiting);
    this._title = el("h1", { class: "any" });
    this._badge = badge();
    this._above = el("nav", { class: "job-above small", "aria-label": "Where this is" });
    this._actions = el("div", { class: "row", role: "group", "aria-label": "What can be done" });
    this._bar = el("progress", { class: "progress job-bar", max: 100, "aria-label": "Progress" });
    this._far = el("div", { class: "row between job-far numbers" });
    this._trouble = el("div", { class: "stack" });
    this._reasons = el("section", { class: "card stack job-why", "aria-label": "Why it is not running", hidden: true });
    this._facts = el("dl", { class: "facts" });
    this._args = el("dl", { class: "facts" });
    this._argsCard = el("section", { class: "card stack job-details", "aria-label": "Arguments" }, el("h2", {}, "Arguments"), this._args);
    this._frames = new Frames(this._id);
    this._pieces = new Pieces();
    this._log = new Log(this._id);
    this._stage = new Stage(this._id);
    this._outputs = new Files(this._id);
    this._files = new Refresh((signal) => this._loadFiles(signal), { pause: 2000, what: "Outputs" });
    this._why = new Refresh((signal) => this._loadWhy(signal), { what: "Why it waits" });
    this._parts.push(this._frames, this._pieces, this._log, this._stage, this._outputs, this._files, this._why);
    this._ticking = setInterval(() => {
      if (this._job && !hasEnded(this._job)) this._showFar(this._job);
      if (this._job && STANDS.has(this._job.status) && Date.now() - this._whyAt > WHY_EVERY) this._why.again();
    }, 1000);
    replace(this._outlet,
      el("header", { class: "job-top" }, this._above, el("div", { class: "page-head" }, el("div", { class: "job-title" }, this._title, this._badge), this._actions), this._elsewhere.problem),
      el("div", { class: "job-page" },
        el("div", { class: "stack" }, el("div", { class: "job-state" }, this._bar, this._far), this._trouble, this._why.problem, this._reasons, this._stage.element, this._frames.problem, this._frames.element, this._pieces.element, this._log.element),
        el("div", { class: "stack job-side" }, this._files.problem, this._outputs.element,
          el("section", { class: "card stack job-details", "aria-label": "Details" }, el("h2", {}, "Details"), this._facts),
          this._argsCard)));
  }

  // The head: its name, how far it is, what can be done

  _showHead(job) {
    text(this._title, job.name);
    setStatus(this._badge, job.status);
    const parent = job.parent && jobs.get(job.parent);
    const path = job.parent && (parent || !job.node || job.parent) ? `${job.parent} ${parent?.name ?? ""}` : "";
    if (this._above.dataset.path !== path) {
      this._above.dataset.path = path;
      replace(this._above, el("a", { href: "#/jobs" }, "Jobs"), parent && [icon("chevron", 14), el("a", { class: "cut", href: `#/jobs/${job.parent}` }, parent.name)]);
    }
    const deeds = Object.keys(DEEDS).filter((deed) => can[deed](job));
    if (this._actions.dataset.deeds !== deeds.join() || !this._actions.firstChild) {
      const focused = this._actions.contains(document.activeElement);
      this._actions.dataset.deeds = deeds.join();
      replace(this._actions, deeds.map((deed) => this._button(deed, ...DEEDS[deed])), this._button("delete", "Delete", "trash", "danger"));
      if (focused) this._actions.firstChild.focus();
    }
    const isShown = !["finished", "cancelled"].includes(job.status) && (job.percent_complete > 0 || job.status === "running");
    this._bar.hidden = !isShown;
    this._bar.value = job.percent_complete;
    this._showFar(job);
  }

  _button(deed, word, drawn, kind = "") {
    const button = el("button", { class: `button ${kind}`, type: "button", onclick: async () => {
      button.disabled = true;
      try {
        if (deed === "delete" || deed === "cancel") await this._end(deed);
        else this._show(await act(this._id, deed));
      } catch (error) {
        tell(error);
      } finally {
        button.disabled = false;
      }
    } }, icon(drawn, 16), word);
    return button;
  }

  async _end(deed) {
    const here = location.hash;
    const ended = await endAll([this._id], deed);
    this._elsewhere.again();
    if (ended?.errors.length) throw ended.errors[0];
    if (ended && deed === "delete" && location.hash === here) location.hash = "#/jobs";
  }

  _showFar(job) {
    const took = job.start_time ? duration(between(job.start_time, job.end_time)) : "";
    const isMoving = job.status === "running" || job.status === "waiting_for_subjobs";
    const left = [isMoving && `${job.percent_complete} %`, frames(job)].filter(Boolean).join(" · ");
    const right = [hasEnded(job) ? took && `Took ${took}` : took && `${took} so far`, isMoving && eta(job.eta_seconds)].filter(Boolean).join(" · ");
    if (this._far.childElementCount !== 2) replace(this._far, el("span"), el("span", { class: "muted" }));
    text(this._far.firstChild, left);
    text(this._far.lastChild, right);
    this._far.parentElement.hidden = !left && !right;
  }

  // What went wrong, and why nothing happens

  _showTrouble(job) {
    const key = job.error ? `${job.status} ${job.error.code} ${job.error.message}` : "";
    if (this._trouble.dataset.key === key) return;
    this._trouble.dataset.key = key;
    const isBad = job.status === "failed";
    const heads = { failed: "It failed", cancelled: "It was cancelled" };
    replace(this._trouble, job.error && el("section", { class: `card job-trouble ${isBad ? "bad" : ""}`, "aria-label": "What went wrong", role: isBad ? "alert" : null },
      icon("alert", 20), el("div", { class: "any" }, el("h2", {}, heads[job.status] ?? "The last attempt failed"), el("p", { class: "job-error" }, job.error.message),
        el("p", { class: "muted small" }, "Code: ", el("span", { class: "mono" }, job.error.code)))));
    this._trouble.hidden = !job.error;
  }

  async _loadWhy(signal) {
    this._whyAt = Date.now();
    if (!STANDS.has(this._job.status)) {
      this._reasons.hidden = true;
      return;
    }
    const why = await get(jobUrl(this._id, "why"), { signal });
    const refused = why.nodes.filter((node) => node.reasons.length);
    this._reasons.hidden = !why.reasons.length && !refused.length;
    const key = JSON.stringify(why);
    if (this._reasons.dataset.key === key) return;
    this._reasons.dataset.key = key;
    const free = why.nodes.filter((node) => !node.reasons.length).map((node) => node.node);
    replace(this._reasons, el("h2", {}, "Why it waits"),
      why.reasons.length > 0 && el("ul", { class: "stack-tight" }, why.reasons.map((reason) => el("li", { class: "any" }, reason))),
      why.nodes.length > 0 && el("dl", { class: "facts" },
        why.nodes.map((node) => [el("dt", { class: "any" }, node.node),
          el("dd", {}, node.reasons.length ? node.reasons.map((reason) => el("div", {}, reason)) : "Can run it.")])),
      free.length > 0 && !why.reasons.length && el("p", { class: "muted small" }, "It begins at once."));
  }

  // Details

  _showFacts(job) {
    const ids = job.depends_on;
    const rows = [
      ["Engine", `${engineName(job.renderer)} ${job.renderer_version}`],
      ["Node", job.node],
      ["Frames", job.start_frame === null ? null : `${job.start_frame} to ${job.end_frame}`],
      ["Attempt", job.attempt || null],
      ["Added", moment(job.date_created)],
      ["Started", job.start_time && moment(job.start_time)],
      ["Ended", job.end_time && moment(job.end_time)],
      ["Depends on", ids.length ? ids.map((id) => el("div", {}, el("a", { class: "any", href: `#/jobs/${id}` }, jobs.get(id)?.name ?? id))) : null],
      ["Part of", job.parent && el("a", { class: "any", href: `#/jobs/${job.parent}` }, jobs.get(job.parent)?.name ?? job.parent)],
      ["Id", el("span", { class: "mono" }, job.id)],
    ];
    const key = JSON.stringify([rows.slice(0, 7), ids, job.priority, hasEnded(job)]);
    if (this._facts.dataset.key !== key && !this._facts.contains(document.activeElement)) {
      this._facts.dataset.key = key;
      replace(this._facts, rows.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
        el("dt", {}, el("label", { for: "job-priority" }, "Priority")), el("dd", {}, hasEnded(job) ? job.priority : this._priority(job)));
    }
    const args = JSON.stringify(job.args);
    if (this._args.dataset.key === args) return;
    this._args.dataset.key = args;
    const given = Object.entries(job.args).filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && !value.length));
    this._argsCard.hidden = !given.length;
    replace(this._args, given.map(([name, value]) => [el("dt", { class: "mono" }, name), el("dd", {}, typeof value === "object" ? el("span", { class: "mono" }, JSON.stringify(value)) : String(value))]));
  }

  _priority(job) {
    const field = el("input", { class: "input job-priority-field", id: "job-priority", type: "number", min: 0, max: 100, step: 1, value: job.priority, onchange: async () => {
      if (!field.reportValidity() || field.value === "") return;
      try {
        this._show(await act(this._id, "priority", { value: field.value }));
      } catch (error) {
        tell(error);
        field.value = this._job.priority;
      }
    } });
    return field;
  }

  async _loadFiles(signal) {
    this._names = await get(jobUrl(this._id, "files"), { signal });
    this._outputs.set(this._names);
    this._frames.setFiles(this._names);
    this._stage.update(this._job, this._names);
  }
}
