// Numbers and times for people: bytes, durations, moments, rates.
import { clock } from "./clock.js";

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];
const WHOLE = new Intl.NumberFormat("en-GB");
const DAY = 86400;

/** A count with its noun: "1 frame", "1,200 frames". */
export function count(number, noun, plural = `${noun}s`) {
  return `${WHOLE.format(number)} ${number === 1 ? noun : plural}`;
}

/** Bytes with three digits at most: "812 bytes", "4.2 MB". */
export function bytes(number) {
  let unit = 0;
  let value = number;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** Bytes a second. */
export function rate(number) {
  return `${bytes(number)}/s`;
}

/** Seconds as a length of time, its two greatest units: "0.4 s", "42 s", "3 min 5 s", "2 h 10 min". */
export function duration(seconds) {
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return pair(whole, 60, "min", 1, "s");
  return whole < DAY ? pair(whole, 3600, "h", 60, "min") : pair(whole, DAY, "d", 3600, "h");
}

/** How fast frames are made: "2.4 s a frame", or "12 frames a second". */
export function pace(seconds) {
  return seconds < 0.1 ? `${WHOLE.format(Math.round(1 / Math.max(seconds, 1e-4)))} frames a second` : `${duration(seconds)} a frame`;
}

/** The time left: an estimate, hence rounded up and never exact to the second beyond a minute. */
export function eta(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 60) return `${Math.max(1, Math.ceil(seconds))} s left`;
  return seconds < 3600 ? `${Math.ceil(seconds / 60)} min left` : `${duration(Math.ceil(seconds / 60) * 60)} left`;
}

/** How long ago a moment was: "just now", "5 min ago", "3 h ago", else its day. */
export function ago(time, now = clock.now()) {
  const seconds = (now - Date.parse(time)) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  return seconds < DAY ? `${Math.round(seconds / 3600)} h ago` : day(time);
}

/** A moment in full, for titles and details. */
export function moment(time) {
  return new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** What is between two moments, or since the first by the node's clock: seconds. */
export function between(start, end) {
  return Math.max(0, ((end ? Date.parse(end) : clock.now()) - Date.parse(start)) / 1000);
}

function day(time) {
  const date = new Date(time);
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return date.toLocaleDateString(undefined, { day: "numeric", month: "short", year });
}

function pair(whole, large, largeUnit, small, smallUnit) {
  const rest = Math.floor((whole % large) / small);
  return `${Math.floor(whole / large)} ${largeUnit}${rest ? ` ${rest} ${smallUnit}` : ""}`;
}

/** How much of a whole is done, a whole number from 0 to 100. */
export function percentOf(done, whole) {
  return whole > 0 ? Math.min(100, Math.floor((done / whole) * 100)) : 0;
}

/** An engine's name as people write it. */
export function engineName(name) {
  return name === "ffmpeg" ? "FFmpeg" : name[0].toUpperCase() + name.slice(1);
}
