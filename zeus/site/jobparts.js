// What several views show of a job: its status in words, how far it is, what makes it, and what can be done with it.
import { jobUrl, post, Unreachable } from "./api.js";
import { ask } from "./dialog.js";
import { el, text } from "./dom.js";
import { between, count, duration, eta } from "./format.js";
import { hasEnded, jobs } from "./jobs.js";

const WORDS = { waiting_for_subjobs: "In pieces" };
const AT_ONCE = 4;

/** The statuses in the order of a job's life. */
export const STATUSES = ["running", "waiting_for_subjobs", "queued", "waiting", "paused", "failed", "cancelled", "finished"];

/** A status for people: "Running". */
export const statusWord = (status) => WORDS[status] ?? status[0].toUpperCase() + status.slice(1);

/** A badge with a status; `setStatus` changes it. */
export function badge(status = "queued") {
  return setStatus(el("span", {}), status);
}

export function setStatus(element, status) {
  const name = `badge ${status}`;
  if (element.className !== name) element.className = name;
  return text(element, statusWord(status));
}

/** How far a job is, or how it ended, in one line. */
export function outcome(job) {
  if (job.status === "failed") return job.error?.message ?? "It failed.";
  if (job.status === "cancelled") return job.error && job.error.code !== "cancelled" ? job.error.message : frames(job);
  if (job.status === "finished") return finished(job);
  const known = [frames(job), eta(job.eta_seconds)].filter(Boolean).join(" · ");
  if (known) return known;
  if (job.status === "queued") return "In line";
  return job.status === "waiting" ? "Not to start yet" : "";
}

/** "12 of 40 frames", where a job has frames. */
export function frames(job) {
  if (job.total_frames === null) return "";
  return `${job.completed_frames.toLocaleString("en-GB")} of ${count(job.total_frames, "frame")}`;
}

function finished(job) {
  const start = job.start_time ?? (job.children.length ? job.date_created : job.end_time);
  const took = duration(between(start, job.end_time));
  return job.total_frames ? `${count(job.total_frames, "frame")} in ${took}` : `Took ${took}`;
}

/** The first part of an id, which is enough to know one by. */
export const shortId = (id) => id.slice(0, 8);

/** What can be done with a job: pause, resume, retry, cancel. Each answers with the job as it is then. */
export const can = {
  pause: (job) => !hasEnded(job) && job.status !== "paused",
  resume: (job) => job.status === "paused",
  retry: (job) => job.status === "failed" || job.status === "cancelled",
  cancel: (job) => !hasEnded(job),
};

/** Do something with a job, and show what came of it in the list at once; the job as it is then. */
export async function act(id, deed, parameters = {}) {
  const job = await post(jobUrl(id, deed, parameters));
  if (deed === "delete") jobs.drop(id);
  else if (job) jobs.put(job);
  return job;
}

/**
 * Ask, then cancel or delete some jobs, a few at once: `{done, errors}`, the ids of those that were, and why others were
 * not; null where nobody wanted it. What a lost connection or `signal` leaves over is neither.
 */
export async function endAll(ids, deed, { onprogress = () => {}, signal } = {}) {
  const many = ids.length === 1 ? `“${jobs.get(ids[0])?.name ?? shortId(ids[0])}”` : count(ids.length, "job");
  const question = deed === "delete"
    ? { title: `Delete ${many}?`, text: "Input, log and outputs go with it, for good. What still runs is ended.", action: "Delete" }
    : { title: `Cancel ${many}?`, text: "Work that is in progress is lost. Frames that are made are kept.", action: "Cancel the work" };
  if (!(await ask({ ...question, danger: true }))) return null;
  const [left, done, errors] = [[...ids], new Set(), []];
  const work = async () => {
    while (left.length && !signal?.aborted) {
      const id = left.pop();
      try {
        await act(id, deed, { confirm: 1 });
        done.add(id);
      } catch (error) {
        if (error instanceof Unreachable) left.length = 0; // nor would it take the others
        if (error.status === 404) {
          jobs.drop(id);
          done.add(id);
        } else errors.push(error);
      }
      onprogress(done.size + errors.length, ids.length);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { done, errors };
}
