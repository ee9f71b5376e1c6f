// Renders what the JSON says, as text only: names come from a CRM and may hold anything.
"use strict";

const view = document.getElementById("view");
const sentence = document.getElementById("sentence");

async function ask(address) {
  const answer = await fetch(`api/${address}`, { headers: { Accept: "application/json" } });
  const said = await answer.json();
  if (!answer.ok) throw new Error(`${said.message} Next step: ${said.next_step}`);
  return said;
}

function element(name, text) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return made;
}

function cell(value) {
  const made = element("td");
  if (typeof value === "string" && /^(https?:\/\/|\/dags\/)/.test(value)) {
    const link = element("a", "open");
    link.href = value;
    link.target = "_blank";
    link.rel = "noopener";
    made.append(link);
  } else if (value === null || value === undefined) {
    made.textContent = "–";
  } else {
    made.textContent = typeof value === "object" ? JSON.stringify(value) : String(value);
  }
  return made;
}

function table(rows) {
  if (rows.length === 0) return element("p", "Nothing.");
  const made = element("table");
  const head = made.createTHead().insertRow();
  const columns = Object.keys(rows[0]);
  for (const name of columns) {
    const heading = element("th", name.replaceAll("_", " "));
    heading.scope = "col";
    head.append(heading);
  }
  const body = made.createTBody();
  for (const row of rows) body.insertRow().append(...columns.map((name) => cell(row[name])));
  return made;
}

function listed(name, page) {
  return async () => {
    const found = await ask(`${name}?page=${page}`);
    const parts = [element("h2", name), table(found.rows)];
    if (page > 1) parts.push(step("Back", name, page - 1));
    if (found.more || page * 50 < found.total) parts.push(step("Further", name, page + 1));
    return parts;
  };
}

function step(label, name, page) {
  const button = element("button", label);
  button.addEventListener("click", () => show(listed(name, page)));
  return button;
}

const views = {
  status: async () => {
    const found = await ask("status");
    return [
      element("h2", "Tables"), table(found.entities),
      element("h2", "Runs in progress"), table(found.running),
      element("h2", "Alerts"), table(found.alerts),
    ];
  },
  runs: listed("runs", 1),
  errors: async () => {
    const button = element("button", "Try all again");
    button.addEventListener("click", () => show(retry));
    return [...(await listed("errors", 1)()), button];
  },
  unresolved: listed("unresolved", 1),
  fields: async () =>
    Object.entries(await ask("fields")).flatMap(([name, rows]) => [element("h2", name), table(rows)]),
  check: async () => {
    const found = await ask("check");
    return [element("h2", `Check of ${found.checked_at ?? "never"}`), table(found.items)];
  },
};

async function retry() {
  const headers = { "X-Requested-With": "dynamics-sync" };
  const answer = await fetch("api/errors/retry", { method: "POST", headers });
  const said = await answer.json();
  const text = answer.ok ? `Started as ${said.run_id}.` : `${said.message} ${said.next_step}`;
  return [element("p", text)];
}

async function show(wanted) {
  try {
    view.replaceChildren(...(await wanted()));
  } catch (error) {
    view.replaceChildren(element("p", error.message));
  }
}

async function showSentence() {
  try {
    const found = await ask("status");
    sentence.textContent = found.sentence;
    sentence.className = found.state;
  } catch (error) {
    sentence.textContent = error.message;
    sentence.className = "broken";
  }
}

function follow() {
  const name = location.hash.slice(1);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name || "status"}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  show(Object.hasOwn(views, name) ? views[name] : views.status);
}

document.getElementById("explain").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = document.getElementById("opportunity").value.trim();
  show(async () => {
    const found = await ask(`opportunities/${encodeURIComponent(id)}`);
    const rows = Object.entries(found).map(([what, is]) => ({ what, is }));
    return [element("h2", found.name ?? found.opportunity_id), table(rows)];
  });
});
window.addEventListener("hashchange", follow);
showSentence();
follow();
