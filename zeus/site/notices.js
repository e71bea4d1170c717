// What is told outside of the views: the banner of what cannot be had now, and messages that go by themselves.
import { connection } from "./api.js";
import { el, replace, text } from "./dom.js";
import { icon } from "./icons.js";
import { jobs } from "./jobs.js";

const SHOWN_FOR = 6000;

/** A message that goes after a while, unless it is an error, which stays until it is closed. */
export function toast(message, { kind = "plain", link = null } = {}) {
  const close = () => shown.remove();
  const shown = el(
    "div",
    { class: `toast ${kind}`, role: kind === "bad" ? "alert" : "status" },
    kind === "bad" ? icon("alert") : icon("check"),
    el("span", { class: "toast-text" }, message, link && [" ", el("a", { href: link.href }, link.label)]),
    el(
      "button",
      { class: "button quiet small", type: "button", "aria-label": "Close", onclick: close },
      icon("close", 16),
    ),
  );
  document.getElementById("toasts").append(shown);
  if (kind !== "bad") setTimeout(close, SHOWN_FOR);
}

/** Tell an error in the node's own words. */
export function tell(error) {
  if (error.name !== "AbortError") toast(error.message, { kind: "bad" });
}

/** Show the banner while the node cannot be reached, with the time of the next try, or while there is no news of its jobs. */
export function watchConnection() {
  const banner = document.getElementById("banner");
  const when = el("span", { class: "numbers" });
  const why = el("span", { class: "any" });
  const now = el("button", { class: "button small", type: "button", onclick: () => connection.tryNow() }, "Try now");
  const lost = [icon("alert"), el("span", {}, "The node cannot be reached. What you see is kept. "), el("span", { "aria-live": "off" }, when), now];
  const stale = [icon("alert"), why];
  let shown = null;
  let ticking = 0;
  const tick = () => {
    const seconds = Math.ceil((connection.nextTry - Date.now()) / 1000);
    text(when, connection.nextTry ? `Trying again in ${Math.max(1, seconds)} s.` : "Trying…");
  };
  const show = () => {
    const wanted = connection.isLost ? lost : jobs.error && stale;
    text(why, jobs.error && `The jobs may not be up to date. ${jobs.error.message}`);
    if (wanted !== shown) replace(banner, wanted);
    shown = wanted;
    banner.hidden = !wanted;
    clearInterval(ticking);
    if (wanted !== lost) return;
    tick();
    ticking = setInterval(tick, 500);
  };
  connection.addEventListener("change", show);
  jobs.subscribe(show);
}
