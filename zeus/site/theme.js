// The theme before the first paint: light, dark, or as the system has it. A plain script, since modules run too late.
"use strict";
{
  let theme = null;
  try {
    theme = localStorage.getItem("zeus.theme");
  } catch {
    // Storage is refused: the system's theme it is.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
