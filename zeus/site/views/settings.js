// Settings and sign-in: who one is to this node, how the page looks, and which node this is.
import { get } from "../api.js";
import { el, replace } from "../dom.js";
import { bytes, count } from "../format.js";
import { icon } from "../icons.js";
import { tell } from "../notices.js";
import { session, signing, signOut, tokenForm } from "../signin.js";

export const title = "Settings";

const THEMES = [
  ["system", "System"],
  ["light", "Light"],
  ["dark", "Dark"],
];

export function mount(outlet) {
  const stop = new AbortController();
  const access = el("section", { class: "card stack", "aria-labelledby": "access-title" });
  const about = el("dl", { class: "facts" });
  showAccess(access);
  signing.addEventListener("change", () => showAccess(access), { signal: stop.signal });
  replace(
    outlet,
    el("div", { class: "page-head" }, el("h1", {}, "Settings")),
    el(
      "div",
      { class: "settings" },
      el(
        "div",
        { class: "stack" },
        access,
        el(
          "section",
          { class: "card stack", "aria-labelledby": "look-title" },
          el("h2", { id: "look-title" }, "Appearance"),
          themes(),
        ),
      ),
      el(
        "section",
        { class: "card stack", "aria-labelledby": "about-title" },
        el("h2", { id: "about-title" }, "This node"),
        about,
        el(
          "div",
          { class: "row" },
          el("a", { class: "button", href: "/api/docs" }, icon("external", 16), "HTTP API"),
          el("a", { class: "button", href: "/api/openapi.json" }, icon("external", 16), "OpenAPI document"),
        ),
      ),
    ),
  );
  get("/api/status", { signal: stop.signal }).then((status) => showNode(about, status), tell);
  return () => stop.abort();
}

function showNode(place, status) {
  const rows = [
    ["Name", status.hostname],
    ["Zeus", status.app_version],
    ["API", status.api_version],
    ["System", `${status.system_os} ${status.system_os_version}`],
    ["Processor", `${status.cpu_brand}, ${count(status.cpu_count, "core")}`],
    ["Memory", bytes(status.memory_total)],
    ["Graphics", status.gpus.map((gpu) => gpu.name).join(", ") || "none found"],
    ["Storage", `${bytes(status.disk.free)} free of ${bytes(status.disk.total)}`],
  ];
  replace(
    place,
    rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );
}

/** Who this browser is to the node, and the way to be somebody else. */
function showAccess(place) {
  const known = session();
  const heading = el("h2", { id: "access-title" }, "Access");
  if (known) {
    replace(
      place,
      heading,
      el("p", {}, "Signed in with the token ", el("strong", { class: "any" }, known.name), "."),
      el(
        "p",
        { class: "row", "aria-label": "What it may do" },
        known.scopes.map((scope) => el("span", { class: "badge" }, scope)),
      ),
      el(
        "div",
        { class: "row" },
        el(
          "button",
          { class: "button", type: "button", onclick: () => signOut().then(() => location.reload(), tell) },
          "Sign out",
        ),
      ),
    );
    return;
  }
  replace(
    place,
    heading,
    el("p", { class: "muted" }, "You are in without a token: this node asks you for none."),
    el("details", { class: "more" }, el("summary", {}, "Sign in with a token"), tokenForm()),
  );
}

/** The choice of the theme, for this browser. */
function themes() {
  const chosen = document.documentElement.dataset.theme ?? "system";
  return el(
    "fieldset",
    {},
    el("legend", { class: "unseen" }, "Theme"),
    el(
      "div",
      { class: "segments" },
      THEMES.map(([value, word]) =>
        el(
          "label",
          {},
          el("input", {
            type: "radio",
            name: "theme",
            value,
            checked: value === chosen,
            onchange: () => choose(value),
          }),
          word,
        ),
      ),
    ),
  );
}

function choose(theme) {
  if (theme === "system") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem("zeus.theme");
  } else {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("zeus.theme", theme);
  }
}
