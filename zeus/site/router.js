// Which view is shown: the one that the address's hash names, with its style sheet, title and focus.
import { get } from "./api.js";
import { announce, el, replace } from "./dom.js";
import { icon } from "./icons.js";
import { VIEWS } from "./views.js";

/** Remembered for the tab: the page was loaded again as a view's files did not come. */
const RELOADED = "zeus.reloaded";
const START = VIEWS[0].path;

/** Show the views in an outlet, and which one it is in the navigation. */
export function startRouter(outlet, nav) {
  let leave = null;
  let turn = 0;
  const links = VIEWS.filter((view) => view.nav).map((view) => [view, link(view)]);
  replace(nav, ...links.map(([, each]) => each));

  const show = async (isFirst) => {
    const mine = (turn += 1);
    const found = resolve(location.hash);
    if (!found) {
      location.replace(`#${START}`);
      return;
    }
    markCurrent(links, found.view);
    let module;
    try {
      [module] = await Promise.all([found.view.load(), styled(found.view.style)]);
    } catch {
      if (mine === turn) await fail(outlet, () => mine === turn);
      return;
    }
    if (mine !== turn) return;
    sessionStorage.removeItem(RELOADED);
    leave?.();
    replace(outlet);
    scrollTo(0, 0);
    document.title = `${module.title} · Zeus`;
    leave = module.mount(outlet, found.params);
    if (!isFirst) {
      if (!outlet.contains(document.activeElement)) outlet.focus({ preventScroll: true }); // a view may place it itself
      announce(module.title);
    }
  };
  addEventListener("hashchange", () => show(false));
  show(true).then(() => requestIdle(loadAll));
}

/** The view of a hash and the values of its path's names, or null. */
function resolve(hash) {
  const parts = (hash.slice(1) || START).split("?")[0].split("/");
  for (const view of VIEWS) {
    const wanted = view.path.split("/");
    const isIt = wanted.length === parts.length && wanted.every((each, at) => each[0] === ":" || each === parts[at]);
    if (isIt) {
      try {
        const named = wanted.flatMap((each, at) =>
          each[0] === ":" ? [[each.slice(1), decodeURIComponent(parts[at])]] : [],
        );
        return {
          view,
          params: { ...Object.fromEntries(new URLSearchParams(hash.split("?")[1])), ...Object.fromEntries(named) },
        };
      } catch {
        return null; // not decodable
      }
    }
  }
  return null;
}

function link(view) {
  const [word, drawn] = view.nav;
  return el("a", { class: "nav-link", href: `#${view.path}` }, icon(drawn), el("span", {}, word));
}

function markCurrent(links, view) {
  const first = view.path.split("/")[1];
  for (const [each, shown] of links) {
    if (each.path.split("/")[1] === first) shown.setAttribute("aria-current", "page");
    else shown.removeAttribute("aria-current");
  }
}

/** Safari has no requestIdleCallback. */
function requestIdle(call) {
  if ("requestIdleCallback" in globalThis) requestIdleCallback(call);
  else setTimeout(call, 500);
}

/** Bring a view's style sheet, once. */
function styled(name) {
  const href = `/static/views/${name}.css`;
  const known = document.querySelector(`link[href="${href}"]`);
  if (known?.sheet) return null;
  return new Promise((resolve, reject) => {
    known?.remove();
    const sheet = el("link", { rel: "stylesheet", href, onload: resolve, onerror: reject });
    document.head.append(sheet);
  });
}

/**
 * The view's own files did not come: say so, and load the page again once the node is back. Once: where that was no help,
 * it is left to a person.
 */
async function fail(outlet, isWanted) {
  const again = () => {
    sessionStorage.setItem(RELOADED, "1");
    location.reload();
  };
  const isFirst = !sessionStorage.getItem(RELOADED);
  replace(
    outlet,
    el(
      "div",
      { class: "empty" },
      icon("alert", 28),
      el("h1", {}, "This view did not load"),
      isFirst
        ? el("p", { class: "muted" }, "The node did not send its files. The page goes on as soon as it does.")
        : el("p", { class: "muted" }, "The node answers, but did not send its files. Was it updated, or is a file missing?"),
      !isFirst && el("button", { class: "button", type: "button", onclick: again }, "Load the page again"),
    ),
  );
  if (!isFirst) return;
  await get("/api/heartbeat");
  if (isWanted()) again();
}

/** Bring all views while nothing else is to be done, so that a lost connection stops nobody from going to one. */
async function loadAll() {
  for (const view of VIEWS) {
    try {
      await Promise.all([view.load(), styled(view.style)]);
    } catch {
      return; // whoever goes there is told
    }
  }
}
