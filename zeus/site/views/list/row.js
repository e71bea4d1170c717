// One row of the list of jobs, which shows one job after another as the list is scrolled.
import { el, text } from "../../dom.js";
import { ago, engineName, moment } from "../../format.js";
import { icon } from "../../icons.js";
import { outcome, setStatus, shortId } from "../../jobparts.js";

/** What stands for a job without a picture, by its engine. */
const DRAWN = { video: "generate", blender: "image", ffmpeg: "play" };

/** The id of a row's element, for `aria-activedescendant`. */
export const rowId = (id) => `job-${id}`;

/** A row: `{element, show(job, at)}`. `list` has `isSelected(id)`, `isActive(id)`, `toggle(id, event)`, `thumbnails`. */
export function makeRow(list) {
  let shown = null;
  const check = el("input", { type: "checkbox", tabindex: -1, onclick: (event) => list.toggle(shown.id, event) });
  const link = el("a", { class: "job-name cut", tabindex: -1 });
  const about = el("span", { class: "cut" });
  const picture = el("div", { class: "job-picture" });
  const blank = el("div", { class: "job-blank" });
  const status = el("span", { class: "badge" });
  const bar = el("progress", { class: "progress", max: 100 });
  const told = el("span", { class: "job-told cut numbers" });
  const node = el("span", { class: "cut" });
  const priority = el("span", { class: "numbers" });
  const added = el("time", { class: "numbers cut" });
  const cell = (name, ...children) => el("div", { class: `job-cell job-${name}`, role: "gridcell" }, ...children);
  const element = el("div", { class: "job-row", role: "row" },
    cell("check", el("label", { class: "job-tick" }, check)),
    cell("thumb", el("div", { class: "job-frame", "aria-hidden": "true" }, blank, picture)),
    cell("main", link, el("div", { class: "job-about muted small" }, about)),
    cell("status", status),
    cell("progress", bar, told),
    cell("node", node),
    cell("priority", priority),
    cell("added", added),
  );
  let engine = null;

  function show(job, at) {
    shown = job;
    if (element.id !== rowId(job.id)) {
      element.id = rowId(job.id);
      link.href = `#/jobs/${job.id}`;
    }
    element.setAttribute("aria-rowindex", at + 2);
    const [isSelected, isActive] = [list.isSelected(job.id), list.isActive(job.id)];
    element.setAttribute("aria-selected", isSelected);
    element.classList.toggle("active", isActive);
    check.checked = isSelected;
    if (link.textContent !== job.name) {
      text(link, job.name).title = job.name;
      check.setAttribute("aria-label", `Select ${job.name}`);
    }
    const pieces = job.children.length ? ` · ${job.children.length} pieces` : "";
    text(about, `${engineName(job.renderer)} · ${shortId(job.id)}${pieces}`);
    if (engine !== job.renderer) blank.replaceChildren(icon(DRAWN[(engine = job.renderer)] ?? "file", 20));
    list.thumbnails.show(picture, job);
    setStatus(status, job.status);
    showProgress(job);
    text(node, job.node ?? "");
    text(priority, job.priority);
    text(added, ago(job.date_created));
    if (added.dateTime !== job.date_created) {
      added.dateTime = job.date_created;
      added.title = moment(job.date_created);
    }
  }

  function showProgress(job) {
    const isMoving = ["running", "waiting_for_subjobs", "paused"].includes(job.status) || (job.status === "queued" && job.percent_complete > 0);
    if (bar.hidden === isMoving) bar.hidden = !isMoving;
    if (isMoving) {
      bar.value = job.percent_complete;
      bar.setAttribute("aria-label", `${job.percent_complete} %`);
    }
    const said = outcome(job);
    text(told, job.status === "running" || job.status === "waiting_for_subjobs" ? [`${job.percent_complete} %`, said].filter(Boolean).join(" · ") : said);
    told.title = job.status === "failed" ? said : "";
    told.classList.toggle("job-bad", job.status === "failed");
  }

  return { element, show };
}
