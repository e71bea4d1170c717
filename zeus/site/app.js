// Starting the page: the views, the connection's banner, sign-in, and what runs now in the header.
import { signInBy } from "./api.js";
import { el, replace } from "./dom.js";
import { count } from "./format.js";
import { jobs } from "./jobs.js";
import { watchConnection } from "./notices.js";
import { startRouter } from "./router.js";
import { askForToken } from "./signin.js";

const main = document.getElementById("main");

signInBy(askForToken);
watchConnection();
document.getElementById("skip").addEventListener("click", () => main.focus());
showActivity(document.getElementById("top-state"));
// A file that misses its place must not replace the page.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
startRouter(main, document.getElementById("nav"));

/** How many jobs run, beside the navigation: a glance from any view. */
function showActivity(place) {
  let shown = -1;
  jobs.subscribe(() => {
    const running = jobs.list.filter((job) => job.status === "running" && !job.children.length).length;
    if (running === shown) return;
    shown = running;
    replace(
      place,
      running
        ? el("span", { class: "activity" }, el("span", { class: "pulse" }), `${count(running, "job")} running`)
        : null,
    );
  });
}
