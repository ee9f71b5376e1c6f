// What could not be taken: records that were refused, associations that are not resolved.
import { addressOf } from "./address.js";
import { apiAddress, ask, retryAll } from "./ask.js";
import { button, make, section } from "./elements.js";
import { copiedId, outside, tell } from "./links.js";
import { list, pageAsked, searchForm, totalOf } from "./tables.js";
import { ago } from "./times.js";
import { KINDS, REASONS, tableName } from "./words.js";

const REFUSED = [
  { title: "Table", sort: "entity", cell: (row) => tableName(row.entity) },
  { title: "Record", sort: "record_id", cell: (row) => copiedId(row.record_id) },
  { title: "Field", sort: "field", cell: (row) => row.field ?? "the record" },
  { title: "Why", sort: "code", cell: (row) => [make("span", {}, row.message), " ", make("code", { class: "faint" }, row.code)], kind: "wide" },
  { title: "Tries", sort: "tries", cell: (row) => String(row.tries), kind: "number" },
  { title: "First seen", sort: "first_seen_at", cell: (row) => ago(row.first_seen_at) },
  { title: "Last tried", sort: "last_tried_at", cell: (row) => ago(row.last_tried_at) },
  { title: "Next try", sort: "next_try_at", cell: (row) => ago(row.next_try_at) },
  { title: "Look", cell: (row) => [outside(row.record_url, "Dynamics"), " ", outside(row.log_url, "Log")] },
];

const UNRESOLVED = [
  { title: "Opportunity", sort: "opportunity_id", cell: (row) => make("a", { href: addressOf("opportunity", { id: row.opportunity_id }) }, make("code", {}, row.opportunity_id)) },
  { title: "What is missing", sort: "kind", cell: (row) => KINDS[row.kind] ?? row.kind },
  { title: "Its id", sort: "reference_id", cell: (row) => copiedId(row.reference_id) },
  { title: "Why", sort: "reason", cell: (row) => [REASONS[row.reason] ?? "", " ", make("code", { class: "faint" }, row.reason)], kind: "wide" },
  { title: "First seen", sort: "first_seen_at", cell: (row) => ago(row.first_seen_at) },
  { title: "Look", cell: (row) => outside(row.record_url, "Dynamics") },
];

const LISTS = {
  refused: {
    path: "errors", title: "Refused records", columns: REFUSED, sort: "-last_tried_at", label: "Beginning of a record's id",
    about: "They are in Dynamics and can't be taken as they are. An older version of the row stays. Each is tried again by itself; mend it in Dynamics, and it passes.",
    empty: "No record is refused: everything in Dynamics could be taken.",
  },
  unresolved: {
    path: "unresolved", title: "Unresolved associations", columns: UNRESOLVED, sort: "-first_seen_at", label: "Beginning of an id, of the opportunity or of what is missing",
    about: "These opportunities are stored, and something that they refer to is not. Each resolves by itself as soon as it can.",
    empty: "Every association is resolved.",
  },
};

export async function showErrors(given) {
  const name = Object.hasOwn(LISTS, given.list) ? given.list : "refused";
  const wanted = LISTS[name];
  const asked = { ...given, list: name, sort: given.sort ?? wanted.sort };
  const found = await ask(wanted.path, pageAsked(asked));
  const csv = apiAddress(`${wanted.path}.csv`, { search: asked.search, sort: asked.sort });
  return [
    tabs(name),
    section(`${wanted.title}: ${totalOf(found)}`,
      make("p", { class: "about" }, wanted.about),
      make("div", { class: "tools" },
        searchForm("errors", asked, wanted.label),
        make("a", { href: csv, download: "", class: "step" }, "Export as CSV"),
        name === "refused" && found.rows.length > 0 ? retryButton() : null),
      list({ caption: wanted.title, view: "errors", asked, columns: wanted.columns, found, empty: wanted.empty })),
  ];
}

function tabs(chosen) {
  return make("nav", { "aria-label": "Lists", class: "choices" }, Object.entries(LISTS).map(([name, { title }]) =>
    make("a", { href: addressOf("errors", { list: name }), "aria-current": name === chosen ? "true" : null }, title)));
}

function retryButton() {
  const made = button("Try all again", async () => {
    made.disabled = true;
    try {
      const { run_id: run } = await retryAll();
      tell(`Started as ${run}. What passes leaves the list.`);
    } catch (error) {
      tell(`${error.message} Next step: ${error.nextStep}`);
      made.disabled = false;
    }
  });
  return made;
}
