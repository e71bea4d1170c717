// What is told outside of the views: the banner of a lost connection, and messages that go by themselves.
import { connection } from "./api.js";
import { el, replace, text } from "./dom.js";
import { icon } from "./icons.js";

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

/** Show the banner while the node cannot be reached, with the time of the next try. */
export function watchConnection() {
  const banner = document.getElementById("banner");
  const when = el("span", { class: "numbers" });
  const now = el("button", { class: "button small", type: "button", onclick: () => connection.tryNow() }, "Try now");
  let ticking = 0;
  const tick = () => {
    const seconds = Math.ceil((connection.nextTry - Date.now()) / 1000);
    text(when, connection.nextTry ? `Trying again in ${Math.max(1, seconds)} s.` : "Trying…");
  };
  connection.addEventListener("change", () => {
    clearInterval(ticking);
    if (!connection.isLost) {
      banner.hidden = true;
      return;
    }
    if (banner.hidden) {
      replace(
        banner,
        icon("alert"),
        el("span", {}, "The node cannot be reached. What you see is kept. "),
        el("span", { "aria-live": "off" }, when),
        now,
      );
      banner.hidden = false;
    }
    tick();
    ticking = setInterval(tick, 500);
  });
}
