// How the sync stands: a card for each table, runs in progress, open alerts, and plots over time.
import { addressOf } from "./address.js";
import { ask } from "./ask.js";
import { badge, make, nothing, pairs, section } from "./elements.js";
import { outside } from "./links.js";
import { plot } from "./plots.js";
import { ago } from "./times.js";
import { number, span, tableName, waiting } from "./words.js";

const SPANS = { day: "24 hours", week: "7 days", month: "30 days" };
const COUNTED = ["inserted", "updated", "deleted", "refused"];

export async function showStatus(asked) {
  const found = await ask("status");
  if (found.entities.length === 0) return [beginning(found)];
  const chosen = Object.hasOwn(SPANS, asked.span) ? asked.span : "day";
  const series = await ask("series", { span: chosen });
  return [
    found.alerts.length > 0 ? section("Open alerts", found.alerts.map(alert)) : null,
    found.running.length > 0 ? section("Runs in progress", found.running.map(progress)) : null,
    section("Tables", make("div", { class: "cards" }, found.entities.map(card))),
    section("Over time", spans(chosen), plots(series)),
  ];
}

function beginning(found) {
  const step = found.state === "empty"
    ? "Switch on the DAG dynamics_opportunity_sync, and the first sync brings everything. What it brings is shown here as soon as it is stored."
    : "The sentence above says what is wrong and what to do. The other views need the store as well.";
  return make("section", { class: "refused" }, make("h2", {}, found.state === "empty" ? "Nothing is here yet" : "The store can't be asked"),
    make("p", {}, step), make("p", {}, make("a", { href: "#check" }, "See what the check says")));
}

function alert(row) {
  return make("article", { class: "alert" },
    make("p", {}, badge(row.code, "broken"), " ", row.entity ? make("strong", {}, tableName(row.entity), ": ") : null, row.message),
    row.next_step ? make("p", {}, make("strong", {}, "Next step: "), row.next_step) : null,
    make("p", { class: "faint" }, "since ", ago(row.since)));
}

function progress(row) {
  const done = Object.values(row.tasks).filter((seconds) => seconds !== null).length;
  const names = Object.entries(row.tasks).filter(([, seconds]) => seconds === null).map(([task]) => task);
  const usual = row.usual_seconds;
  // Without a like run to compare with nobody knows how far it is, and the bar says so.
  const known = usual ? { max: usual, value: Math.min(row.seconds, usual) } : {};
  const length = usual
    ? `${span(row.seconds)} of usually ${span(usual)}`
    : `for ${span(row.seconds)}; no such run has ended yet that it could be compared with`;
  return make("article", { class: "card" },
    make("p", {}, badge(row.mode, "busy"), " ", outside(`../dags/${encodeURIComponent(row.dag_id)}/runs/${encodeURIComponent(row.run_id)}`, row.run_id)),
    make("progress", { ...known, "aria-label": `Progress of ${row.run_id}` }),
    make("p", {}, length, ". ", names.length > 0 ? `Now: ${names.join(", ")}. ` : "", done > 0 ? `Tasks done: ${done}.` : ""),
    row.reading.map(readingBar));
}

// How far a table is read that takes long, beside how many rows Dataverse says that it has.
function readingBar(row) {
  const total = Math.max(row.rows_expected ?? 0, row.rows_read);
  const known = row.is_whole ? { max: 1, value: 1 } : row.rows_expected ? { max: total, value: row.rows_read } : {};
  const said = row.is_whole ? `all ${number(row.rows_read)} rows read`
    : row.rows_expected ? `${number(row.rows_read)} of about ${number(total)} rows read` : `${number(row.rows_read)} rows read`;
  return make("div", { class: "reading" },
    make("progress", { ...known, "aria-label": `${tableName(row.entity)}: ${said}` }),
    make("p", {}, make("strong", {}, tableName(row.entity)), `: ${said}`, row.is_whole ? "" : [" (", ago(row.as_of), ")"]));
}

function card(row) {
  const fresh = row.freshness_seconds;
  return make("article", { class: "card" },
    make("h3", {}, tableName(row.entity)),
    make("p", { class: "figure" }, number(row.rows), make("span", { class: "unit" }, " rows")),
    pairs(
      ["Last success", ago(row.last_success_at)],
      ["Waiting in Dynamics", waitingCell(row)],
      ["Freshness", fresh.median === null ? null : `median ${span(fresh.median)}, 95 % within ${span(fresh.p95)}`],
    ),
    changes(row));
}

function waitingCell(row) {
  if (!row.waiting) return row.waiting === 0 ? make("span", { title: row.as_of }, "none") : null;
  return make("span", {}, badge(waiting(row.waiting), "late"), row.oldest_waiting_at ? [" oldest ", ago(row.oldest_waiting_at)] : null);
}

// What changed lately; refusals lead to the list.
function changes(row) {
  const cell = (name, count) => make("td", { class: "number" },
    name === "refused" && count > 0 ? make("a", { href: addressOf("errors"), class: "bad" }, number(count)) : number(count));
  const line = (title, counts) => make("tr", {}, make("th", { scope: "row" }, title), COUNTED.map((name) => cell(name, counts[name])));
  return make("table", { class: "small" },
    make("caption", { class: "unseen" }, `Lately changed ${tableName(row.entity)}`),
    make("thead", {}, make("tr", {}, make("td"), COUNTED.map((name) => make("th", { scope: "col", class: "number" }, name)))),
    make("tbody", {}, line("Last hour", row.last_hour), line("Last day", row.last_day)));
}

function spans(chosen) {
  return make("nav", { "aria-label": "Span of the plots", class: "choices" }, Object.entries(SPANS).map(([name, title]) =>
    make("a", { href: addressOf("status", { span: name }), "aria-current": name === chosen ? "true" : null }, title)));
}

function plots(series) {
  if (series.throughput.length + series.backlog.length === 0) return nothing("No run has ended in this time.");
  const changed = (point) => point.inserted + point.updated + point.deleted;
  return make("div", { class: "plots" },
    plot({ title: `Rows written, by ${span(series.step_seconds)} (UTC)`, points: series.throughput, value: changed, kind: "bars", series, unit: "rows" }),
    plot({ title: "Waiting in Dynamics when runs began (UTC)", points: series.backlog, value: (point) => point.waiting, kind: "lines", series, unit: "records" }),
    series.drift.length === 0 ? null
      : plot({ title: `Drift: rows that reconciliations mended, by ${span(series.step_seconds)} (UTC)`, points: series.drift, value: (point) => point.mended, kind: "bars", series, unit: "rows" }));
}
