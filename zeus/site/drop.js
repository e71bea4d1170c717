// Files that are dropped on the page, pasted into it, or chosen.
import { el } from "./dom.js";

/** Take files that are dropped anywhere or pasted, while the page is in `place`; the function that ends it. */
export function takeDrops(place, onfiles) {
  let depth = 0;
  const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const mark = (change) => (event) => {
    if (!holdsFiles(event)) return;
    depth = Math.max(0, depth + change);
    place.classList.toggle("is-over", depth > 0);
  };
  const take = (list) => list?.length && onfiles([...list]);
  const listeners = {
    dragenter: mark(1),
    dragleave: mark(-1),
    drop: (event) => {
      depth = 0;
      place.classList.remove("is-over");
      take(event.dataTransfer?.files);
    },
    paste: (event) => take(event.clipboardData?.files),
  };
  for (const [kind, listener] of Object.entries(listeners)) addEventListener(kind, listener);
  return () => {
    for (const [kind, listener] of Object.entries(listeners)) removeEventListener(kind, listener);
  };
}

/** A button that lets one choose files; `kinds` and `several` as an input has them. */
export function chooseButton(label, onfiles, { kinds = null, several = false, look = "button" } = {}) {
  const input = el("input", {
    type: "file",
    class: "unseen",
    accept: kinds,
    multiple: several,
    tabindex: -1,
    "aria-hidden": "true",
    onchange: () => {
      if (input.files.length) onfiles([...input.files]);
      input.value = "";
    },
  });
  return [el("button", { class: look, type: "button", onclick: () => input.click() }, label), input];
}
