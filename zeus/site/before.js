// What cannot wait for the modules: the theme, before the first paint, and a word where they do not come.
"use strict";
{
  let theme = null;
  try {
    theme = localStorage.getItem("zeus.theme");
  } catch {
    // Storage is refused: the system's theme it is.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;

  const tell = () => {
    const again = document.createElement("button");
    again.className = "button";
    again.textContent = "Load the page again";
    again.onclick = () => location.reload();
    const words = document.createElement("p");
    words.textContent = "The page did not load: a part of it was lost on the way.";
    document.getElementById("main").replaceChildren(words, again);
  };
  const failed = ({ target }) => {
    if (!(target instanceof HTMLScriptElement)) return;
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", tell);
    else tell();
  };
  addEventListener("error", failed, { capture: true });
}
