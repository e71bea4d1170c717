// Small charts: lines over time, drawn as SVG from plain numbers.
import { svg } from "./dom.js";

/**
 * A line over its area. `values` are numbers or null (a gap); `max` is the top, by default the greatest of them;
 * `label` says to screen readers what it shows. It is stretched to its box.
 */
export function sparkline(
  values,
  { max = Math.max(1e-9, ...values.filter((each) => each !== null)), label, height = 40 } = {},
) {
  const width = Math.max(2, values.length - 1);
  const y = (value) => height - 1 - (Math.min(value, max) / max) * (height - 2);
  const runs = split(values).map((run) => run.map(([at, value]) => `${at},${y(value).toFixed(2)}`));
  const box = { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label };
  return svg(
    "svg",
    { class: "chart", ...box },
    runs.map((run) =>
      svg("path", { class: "chart-area", d: `M${x(run[0])},${height}L${run.join("L")}L${x(run.at(-1))},${height}Z` }),
    ),
    runs.map((run) =>
      svg("path", { class: "chart-line", d: `M${run.join("L")}`, "vector-effect": "non-scaling-stroke" }),
    ),
  );
}

/** The runs of numbers between the gaps, as pairs of place and value. */
function split(values) {
  const runs = [[]];
  values.forEach((value, at) => {
    if (value === null) runs.push([]);
    else runs.at(-1).push([at, value]);
  });
  return runs.filter((run) => run.length);
}

const x = (point) => point.split(",")[0];
