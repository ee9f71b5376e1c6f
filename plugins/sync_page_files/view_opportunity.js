// One opportunity, explained: which rule applied, what came of it, what is missing and why.
import { addressOf, goTo } from "./address.js";
import { ask } from "./ask.js";
import { badge, make, name, nothing, pairs, section } from "./elements.js";
import { copiedId, outside } from "./links.js";
import { list, pageAsked, table } from "./tables.js";
import { ago, at } from "./times.js";
import { KINDS, REASONS, RULES } from "./words.js";

const ID = /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

export async function showOpportunity(asked) {
  const parts = [form(asked.id ?? asked.search ?? "")];
  if (asked.id) return [...parts, ...explained(await ask(`opportunities/${encodeURIComponent(asked.id)}`))];
  if (asked.search) return [...parts, await results(asked)];
  return [...parts, nothing("Type the id of an opportunity, or the beginning of its name.")];
}

function form(text) {
  const field = make("input", { id: "opportunity", type: "search", value: text, autocomplete: "off", size: "40" });
  const made = make("form", { role: "search" }, make("label", { for: "opportunity" }, "Explain an opportunity: its id, or the beginning of its name"), field, make("button", {}, "Explain"));
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = field.value.trim().replace(/^\{(.*)\}$/, "$1");
    goTo("opportunity", ID.test(wanted) ? { id: wanted.toLowerCase() } : { search: wanted });
  });
  return made;
}

async function results(asked) {
  const found = await ask("opportunities", pageAsked(asked));
  const columns = [
    { title: "Name", sort: "name", cell: (row) => make("a", { href: addressOf("opportunity", { id: row.opportunity_id }) }, name(row.name, row.opportunity_id)), kind: "wide" },
    { title: "Id", sort: "opportunity_id", cell: (row) => copiedId(row.opportunity_id) },
    { title: "Account", sort: "account_id", cell: (row) => (row.account_id ? copiedId(row.account_id) : null) },
    { title: "Modified", sort: "modified_at", cell: (row) => ago(row.modified_at) },
  ];
  const empty = "No opportunity in the store has a name that begins so.";
  return section("Which one?", list({ caption: "Opportunities found", view: "opportunity", asked: { ...asked, sort: asked.sort ?? "name" }, columns, found: found, empty }));
}

function explained(found) {
  return [
    make("section", {},
      make("h2", {}, name(found.name, "An opportunity without a name"), found.is_deleted ? [" ", badge("deleted in Dynamics", "late")] : null),
      make("p", {}, copiedId(found.opportunity_id), " ", outside(found.record_url, "Open in Dynamics")),
      pairs(["Modified in Dynamics", at(found.modified_at)], ["Last written to the store", at(found.synced_at)])),
    section("Account", make("p", { class: "rule" }, RULES[found.rule] ?? found.rule), steps(found)),
    section("Contact roles", roles(found.roles)),
    section("Unresolved", unresolved(found.unresolved)),
    section("History", history(found.history)),
  ];
}

// From what Dynamics says to what the store has, step by step.
function steps(found) {
  const { customer, account } = found;
  const is = customer && customer.survivor_id !== customer.id;
  return make("ol", { class: "chain" },
    make("li", {}, make("strong", {}, "Customer in Dynamics: "), customer ? [name(customer.name, "(no name in the store)"), `, ${customer.type} `, copiedId(customer.id)] : "none"),
    is ? make("li", {}, make("strong", {}, "After merges: "), customer.survivor_id ? [name(customer.survivor_name, "(no name in the store)"), " ", copiedId(customer.survivor_id)] : "nobody that is known") : null,
    make("li", {}, make("strong", {}, "Account in the store: "), account ? [name(account.name, "(no name in the store)"), " ", copiedId(account.id)] : "none"));
}

function roles(rows) {
  if (rows.length === 0) return nothing("No contact has a role.");
  return table("Contact roles", [
    { title: "Contact", cell: (row) => [name(row.contact_name, "(no name in the store)"), " ", copiedId(row.contact_id)], kind: "wide" },
    { title: "Role", cell: (row) => [name(row.role), row.is_primary ? [" ", badge("primary", "plain")] : null] },
    { title: "From", cell: given },
    { title: "State", cell: (row) => (row.is_deleted ? ["deleted ", ago(row.deleted_at)] : badge("in force", "well")) },
  ], rows);
}

function given(row) {
  if (row.source === "customer") return "the customer";
  if (row.connections.length === 0) return "no active connection any more";
  return ["connections ", row.connections.map((connection) => [make("code", {}, connection), " "])].flat(2);
}

function unresolved(rows) {
  if (rows.length === 0) return nothing("Nothing: every association is resolved.");
  return make("ul", { class: "reasons" }, rows.map((row) => make("li", {},
    make("p", {}, make("strong", {}, `Missing: ${KINDS[row.kind] ?? row.kind} `), copiedId(row.reference_id)),
    make("p", {}, REASONS[row.reason] ?? row.reason, " ", make("code", { class: "faint" }, row.reason), " since ", ago(row.first_seen_at)))));
}

function history(rows) {
  if (rows.length === 0) return nothing("No change is on record: a first load notes none, and notes are forgotten after a while.");
  return table("Changes, the newest first", [
    { title: "When", cell: (row) => at(row.at) },
    { title: "What changed", cell: (row) => changed(row.changes), kind: "wide" },
    { title: "Run", cell: (row) => make("a", { href: addressOf("runs", { search: row.run_id }) }, row.run_id) },
  ], rows);
}

function changed(changes) {
  const parts = [];
  if (changes.columns?.length) parts.push(make("span", {}, changes.columns.map((column) => [make("code", {}, column), " "]).flat()));
  if (changes.account_id) parts.push(make("span", {}, "account ", [changes.account_id].flat().map((id) => id ?? "none").join(" → ")));
  for (const [what, ids] of Object.entries(changes.roles ?? {})) {
    if (ids.length > 0) parts.push(make("span", {}, `roles ${what}: ${ids.join(", ")}`));
  }
  return parts.map((part, place) => (place > 0 ? [make("br"), part] : part)).flat();
}
