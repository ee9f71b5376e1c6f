// What codes of the store mean, in words that somebody on call understands.

export const TABLES = {
  opportunity: "Opportunities", contact: "Contacts", account: "Accounts",
  connection: "Connections", connectionrole: "Connection roles", role: "Roles",
};

export const RULES = {
  customer_is_contact: "The customer is a contact: it gets the role “Potential Customer”, and the account is the one that it belongs to.",
  customer_is_account: "The customer is an account: that is the account, and it gives no role.",
  no_customer: "There is no customer: no account, and no role from it.",
};

export const KINDS = {
  customer_contact: "the customer, a contact",
  customer_account: "the customer, an account",
  contact_account: "the account of the customer",
  stakeholder_contact: "a stakeholder",
  stakeholder_role: "the role of a stakeholder",
};

export const REASONS = {
  contact_not_found: "The contact is not to be found in Dynamics: it was deleted, or the sync may not read it. It resolves by itself when the contact appears.",
  account_not_found: "The account is not to be found in Dynamics: it was deleted, or the sync may not read it. It resolves by itself when the account appears.",
  role_not_found: "The connection role is not to be found in Dynamics. It resolves by itself when the role appears.",
  merge_circle: "The merges of the record run in a circle, or end at a record that is missing. Mend the merge in Dynamics.",
  contact_excluded: "The sync filter of the contact says No, so its roles are withheld.",
  account_excluded: "The sync filter of the account says No, so the account is left empty.",
  contact_refused: "The contact is in Dynamics and can't be taken: see Errors.",
  account_refused: "The account is in Dynamics and can't be taken: see Errors.",
  role_refused: "The connection role is in Dynamics and can't be taken: see Errors.",
  contact_erased: "The contact was erased by a person's wish. It does not come back.",
};

export const FIELD_STATES = {
  read: ["well", "Each run reads it."],
  filling: ["busy", "A quick sync is filling it into the rows that are there."],
  stopped: ["plain", "It is no longer selected: it keeps its values and changes no more."],
  missing: ["broken", "Dynamics has no such column now."],
  secured: ["late", "Column security hides it from the sync's user."],
  masked: ["late", "Dynamics shows the sync's user masked values only."],
  retyped: ["late", "Its type in Dynamics was changed."],
  refused: ["broken", "The store can't have such a column."],
  failed: ["broken", "The quick sync failed and waits for a person: run dynamics_quick_sync."],
};

// Colour and icon of each state of the sync.
export const STATES = {
  well: ["well", "✓"], late: ["late", "!"], broken: ["broken", "✕"], paused: ["late", "⏸"], empty: ["plain", "○"],
};

export const OUTCOMES = { succeeded: "well", failed: "broken", running: "busy" };

export function tableName(entity) {
  return TABLES[entity] ?? entity;
}

const LENGTHS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

// A length of time by its largest units, two if not told otherwise.
export function span(seconds, units = 2) {
  if (seconds === null || seconds === undefined) return "–";
  let rest = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [size, unit] of LENGTHS) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count} ${unit}`);
    else if (parts.length > 0) break;
    rest -= count * size;
    if (parts.length === units) break;
  }
  return parts.join(" ") || "0 s";
}

export function number(value) {
  return value === null || value === undefined ? "–" : value.toLocaleString("en");
}

// As many as one answer of Dynamics counts; there can be more.
export function waiting(count) {
  if (count === null || count === undefined) return "unknown";
  return count >= 5000 ? "5,000 or more" : number(count);
}
