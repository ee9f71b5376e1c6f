// The columns of each table: where they come from, whether they still are read, how full they are.
import { ask } from "./ask.js";
import { badge, bar, make, nothing, section } from "./elements.js";
import { table } from "./tables.js";
import { ago } from "./times.js";
import { FIELD_STATES, tableName } from "./words.js";

const COLUMNS = [
  { title: "Column", cell: (row) => make("code", {}, row.column) },
  { title: "From Dynamics", cell: (row) => (row.source ? make("code", {}, row.source) : null) },
  { title: "Type", cell: (row) => row.type },
  { title: "State", cell: state },
  { title: "Filled", cell: filled },
];

export async function showFields() {
  const found = Object.entries(await ask("fields")).filter(([, rows]) => rows.length > 0);
  if (found.length === 0) return [nothing("No run has made the store yet, so there are no columns.")];
  return found.map(([entity, rows]) => section(tableName(entity),
    make("p", { class: "about" }, summary(rows)),
    table(`Columns of ${tableName(entity).toLowerCase()}`, COLUMNS, rows)));
}

function state(row) {
  const [tone, about] = FIELD_STATES[row.state] ?? ["plain", ""];
  return make("span", { title: about }, badge(row.state, tone), row.state === "read" ? null : make("small", {}, ` ${about}`));
}

function filled(row) {
  if (row.filled_share === null) return make("span", { class: "faint" }, "not counted yet");
  const share = Math.round(row.filled_share * 1000) / 10;
  return make("span", { class: "share" }, bar(row.filled_share, `${share} % filled`), make("span", { class: "number" }, `${share} %`));
}

function summary(rows) {
  const off = rows.filter((row) => row.state !== "read").length;
  const counted = rows.find((row) => row.as_of);
  const parts = [`${rows.length} columns, ${off === 0 ? "all of them read" : `${off} of them not read as usual`}.`];
  return counted ? [...parts, " Shares were counted ", ago(counted.as_of), "."] : parts;
}
