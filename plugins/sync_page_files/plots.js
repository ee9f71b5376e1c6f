// Plots by Plotly, which is loaded when a plot is to be seen, from its own package on this server.
import { make } from "./elements.js";
import { tableName } from "./words.js";

const ORDER = ["opportunity", "contact", "account", "role", "connection", "connectionrole"];
// Hours with their day below where it changes, or days: short enough for a phone.
const DAY = 86_400_000;
const TICKS = [{ dtickrange: [null, DAY - 1], value: "%H:%M\n%-d %b" }, { dtickrange: [DAY, null], value: "%-d %b" }];
let library = null;

function loadLibrary() {
  library ??= new Promise((resolve, reject) => {
    const script = make("script", { src: "files/plotly.min.js" });
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => reject(new Error("The library that draws plots is not installed.")));
    document.head.append(script);
  });
  return library;
}

// A plot with a line or bars for each table. `points`: rows with `at`, `entity` and what `value` takes.
export function plot({ title, points, value, kind, series, unit }) {
  const place = make("div", { class: "plot", role: "img", "aria-label": spoken(title, points, value, unit) });
  const figure = make("figure", {}, make("figcaption", {}, title), place);
  const draw = () => drawInto(place, { points, value, kind, series, unit });
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const redraw = () => (place.isConnected ? draw() : scheme.removeEventListener("change", redraw));
  scheme.addEventListener("change", redraw);
  draw();
  return figure;
}

function spoken(title, points, value, unit) {
  const sums = new Map();
  for (const point of points) sums.set(point.entity, Math.max(sums.get(point.entity) ?? 0, value(point)));
  const most = [...sums].map(([entity, top]) => `${tableName(entity)} at most ${top}`).join(", ");
  return `${title}, ${unit}: ${most || "nothing yet"}`;
}

async function drawInto(place, { points, value, kind, series, unit }) {
  try {
    const Plotly = await loadLibrary();
    // It measures its place, which is in the page only after the view is.
    await new Promise(requestAnimationFrame);
    const colour = (token) => getComputedStyle(document.documentElement).getPropertyValue(token).trim();
    const entities = ORDER.filter((entity) => points.some((point) => point.entity === entity && value(point) > 0));
    const traces = entities.map((entity) => trace(kind, entity, points.filter((point) => point.entity === entity), value, colour(`--plot-${entity}`), series));
    await Plotly.react(place, traces, layout(series, unit, colour, highest(kind, points, value)), { displayModeBar: false, responsive: true });
    place.dataset.drawn = "true";
  } catch (error) {
    place.textContent = error.message;
  }
}

function trace(kind, entity, points, value, colour, series) {
  const drawn = { name: tableName(entity), x: points.map((point) => point.at), y: points.map(value) };
  if (kind === "bars") return { ...drawn, type: "bar", width: series.step_seconds * 850, marker: { color: colour } };
  const mode = points.length < 3 ? "lines+markers" : "lines";
  return { ...drawn, type: "scatter", mode, line: { color: colour, shape: "hv", width: 2 } };
}

// What the axis has to reach: the tallest stack of bars, or the highest line.
function highest(kind, points, value) {
  const heights = new Map();
  for (const [place, point] of points.entries()) {
    const stack = kind === "bars" ? point.at : place;
    heights.set(stack, (heights.get(stack) ?? 0) + value(point));
  }
  return Math.max(0, ...heights.values());
}

function layout(series, unit, colour, most) {
  const text = colour("--text");
  const axis = { color: colour("--faint"), gridcolor: colour("--line"), zerolinecolor: colour("--line"), fixedrange: true };
  return {
    barmode: "stack", bargap: 0.15, height: 260, autosize: true, hovermode: "x unified",
    margin: { l: 48, r: 12, t: 44, b: 36 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: text, family: "system-ui, sans-serif", size: 12 },
    hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: text } },
    showlegend: true, legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", traceorder: "normal", font: { color: text } },
    xaxis: { ...axis, type: "date", range: [series.since, series.until], showgrid: false, nticks: 5, tickangle: 0, tickformatstops: TICKS },
    yaxis: { ...axis, rangemode: "tozero", title: { text: unit, font: { size: 11 } }, tickformat: ",d", nticks: 5, dtick: most < 5 ? 1 : null },
  };
}
