// One line of time with all that happened: runs, and between them selections, columns, guards,
// alerts and drift.
import { ask } from "./ask.js";
import { badge, make, nothing, section } from "./elements.js";
import { outside } from "./links.js";
import { PER_PAGE, pageAsked, pager, searchForm, totalOf } from "./tables.js";
import { ago, at } from "./times.js";
import { OUTCOMES, number, span, tableName } from "./words.js";

const TASK_TONES = 8;
const SHORT = 160;
const SHOWN_COUNTS = ["inserted", "updated", "deleted", "rewritten", "refused", "filtered", "superseded"];
const EVENT_ICONS = { selection: "☰", columns: "+", guard: "✋", alert: "!", drift: "≠" };

export async function showRuns(given) {
  const asked = { ...given };
  const found = await ask("runs", pageAsked(asked));
  // Events have no run that could be searched for.
  const { rows: events, more } = asked.search ? { rows: [] } : await ask("events", await stretch(found, asked));
  const entries = [
    ...found.rows.map((row) => ({ moment: row.started_at, shown: run(row) })),
    ...events.map((row) => ({ moment: row.at, shown: happening(row) })),
  ].toSorted((one, other) => Date.parse(other.moment) - Date.parse(one.moment));
  return [section(`Runs: ${totalOf(found)}`,
    make("div", { class: "tools" }, searchForm("runs", asked, "Beginning of a DAG's or a run's id")),
    entries.length === 0
      ? nothing(asked.search ? "No run has an id that begins so." : "No run has begun yet.")
      : make("ol", { class: "timeline", "aria-label": "Runs and events, the newest first" }, entries.map((entry) => entry.shown)),
    more ? make("p", { class: "faint" }, "More happened in this time than is shown: only the newest 500 events are.") : null,
    pager("runs", asked, found))];
}

// From the first run of the next page to that of this one, so that each event is on one page.
async function stretch(found, asked) {
  const page = Number(asked.page ?? 1);
  const [first] = found.rows;
  const { rows: [next] } = await ask("runs", { ...pageAsked(asked), page: page * PER_PAGE + 1, per_page: 1 });
  return { until: page > 1 && first ? first.started_at : "", since: next?.started_at ?? "" };
}

function run(row) {
  const address = `../dags/${encodeURIComponent(row.dag_id)}/runs/${encodeURIComponent(row.run_id)}`;
  const length = row.ended_at ? (Date.parse(row.ended_at) - Date.parse(row.started_at)) / 1000 : null;
  return make("li", { class: `run ${OUTCOMES[row.outcome] ?? "plain"}` },
    make("p", { class: "line" },
      badge(row.outcome, OUTCOMES[row.outcome] ?? "plain"), " ", make("strong", {}, row.dag_id.replace(/^dynamics_/, "")), " ", badge(row.mode, "plain"),
      " ", ago(row.started_at), length === null ? null : `, took ${span(length)}`, " ", outside(address, "Open in Airflow")),
    row.error ? make("p", { class: "error" }, row.error, " ", row.error_code ? make("code", {}, row.error_code) : null) : null,
    windowOf(row),
    counts(row.entities),
    tasks(row.tasks));
}

function windowOf(row) {
  if (!row.window_start && !row.window_end) return null;
  return make("p", { class: "faint" }, "Window from ", at(row.window_start), row.window_end ? [" to ", at(row.window_end)] : " on");
}

// Only what happened is told; a run that found nothing changed says so.
function counts(entities) {
  if (entities.length === 0) return null;
  const told = entities.flatMap((row) => {
    const parts = SHOWN_COUNTS.filter((name) => row[name] > 0).map((name) => make("span", { class: name === "refused" ? "bad" : null }, `${number(row[name])} ${name}`));
    if (parts.length === 0) return [];
    return [make("li", {}, make("strong", {}, tableName(row.entity), ": "), parts.map((part, place) => (place > 0 ? [", ", part] : part)).flat())];
  });
  return told.length > 0 ? make("ul", { class: "counts" }, told) : make("p", { class: "faint" }, "Nothing had changed.");
}

function tasks(seconds) {
  const known = Object.entries(seconds).filter(([, length]) => length !== null);
  const whole = known.reduce((sum, [, length]) => sum + length, 0);
  if (known.length === 0) return null;
  const label = known.map(([task, length]) => `${task} ${span(length)}`).join(", ");
  const pieces = known.map(([task, length], place) => {
    const piece = make("span", { class: `task tone-${place % TASK_TONES}`, title: `${task}: ${span(length)}` });
    piece.style.flexGrow = String(Math.max(length, whole / 200));
    return piece;
  });
  const legend = known.map(([task, length], place) => make("li", {}, make("span", { class: `dot tone-${place % TASK_TONES}`, "aria-hidden": "true" }), ` ${task} ${span(length)}`));
  return make("details", { class: "tasks" },
    make("summary", {}, make("span", { class: "stack", role: "img", "aria-label": `Seconds by task: ${label}` }, pieces)),
    make("ul", { class: "legend" }, legend));
}

function happening(row) {
  return make("li", { class: `event ${row.kind}` },
    make("p", { class: "line" }, make("span", { class: "icon", "aria-hidden": "true" }, EVENT_ICONS[row.kind] ?? "·"), " ",
      badge(row.kind, row.kind === "guard" || row.kind === "alert" ? "late" : "plain"), " ", ago(row.at), " ",
      row.entity ? make("strong", {}, `${tableName(row.entity)}: `) : null, short(row.message)));
}

// A first selection names a hundred columns: nobody reads them between two runs.
function short(message) {
  if (message.length <= SHORT) return message;
  return make("details", {}, make("summary", {}, `${message.slice(0, SHORT)}…`), message);
}
