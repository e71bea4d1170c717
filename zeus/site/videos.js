// What can be done with a generated video: where its file is, making it again, deleting it.
import { create, jobUrl, post } from "./api.js";
import { ask } from "./dialog.js";
import { jobs } from "./jobs.js";
import { tell } from "./notices.js";

export const ENGINE = "video";
const NAMES = { mp4: "out.mp4", gif: "out.gif", webp: "out.webp" };

/** All jobs that make videos, the newest first. */
export function videos() {
  return jobs.list.filter((job) => job.renderer === ENGINE && !job.parent);
}

/** What a job shows, in words. */
export const promptOf = (job) => String(job.args.prompt ?? job.name);

/** Where the whole of a finished job is played or shown from, and by which element; null for many pictures. */
export function sourceOf(job) {
  const format = job.args.export_format ?? "mp4";
  if (format === "mp4") return { tag: "video", src: `/files/${encodeURIComponent(job.id)}/out.mp4` };
  return NAMES[format] ? { tag: "img", src: jobUrl(job.id, "download", { filename: NAMES[format] }) } : null;
}

/** Where a finished job's result is downloaded from. */
export function downloadOf(job) {
  const filename = NAMES[job.args.export_format ?? "mp4"];
  return filename ? jobUrl(job.id, "download", { filename }) : jobUrl(job.id, "download_all");
}

/** Begin a video; its id. Throws ApiError. */
export async function generate(fields) {
  return (await create("/api/generate", fields)).job_id;
}

/** What a job was asked for, as `generate` takes it: without what was left to the model, and without its picture. */
export function fieldsOf(job) {
  const given = Object.entries(job.args).filter(([name, value]) => value !== null && name !== "image");
  return Object.fromEntries(given);
}

/** The same once more with another seed, by a button that rests meanwhile; `onbegun` is called with the new job's id. */
export async function generateAgain(job, button, onbegun) {
  button.disabled = true;
  try {
    onbegun(await generate({ ...fieldsOf(job), seed: crypto.getRandomValues(new Uint32Array(1))[0] }));
  } catch (error) {
    tell(error);
  } finally {
    button.disabled = false;
  }
}

/** Delete a job after a question; whether it was. Throws ApiError. */
export async function deleteAfterQuestion(job) {
  const text = `“${promptOf(job)}” and its files are removed for good.`;
  if (!(await ask({ title: "Delete this video?", text, action: "Delete", danger: true }))) return false;
  await post(jobUrl(job.id, "delete", { confirm: 1 }));
  jobs.drop(job.id);
  return true;
}
