// The last pre-flight check, item by item: what failed comes first, with what to do about it.
import { ask } from "./ask.js";
import { badge, make, nothing, pairs } from "./elements.js";
import { copyButton } from "./links.js";
import { ago } from "./times.js";

const ORDER = { failed: 0, unknown: 1, passed: 2 };
const TONES = { failed: "broken", unknown: "late", passed: "well" };

export async function showCheck() {
  const found = await ask("check");
  if (found.items.length === 0) return [nothing("No check has been made yet. Run the DAG dynamics_validate, or make validate in a shell.")];
  const items = found.items.toSorted((one, other) => ORDER[one.state] - ORDER[other.state]);
  const count = (state) => items.filter((item) => item.state === state).length;
  return [
    make("section", {},
      make("h2", {}, "Check of ", ago(found.checked_at)),
      make("p", {}, badge(`${count("failed")} failed`, count("failed") ? "broken" : "plain"), " ", badge(`${count("unknown")} not decidable`, count("unknown") ? "late" : "plain"), " ", badge(`${count("passed")} passed`, "well"), " ", copyButton(asText(items), "Copy the result")),
      make("ul", { class: "items" }, items.map(item))),
  ];
}

function item(row) {
  const details = make("details", { open: row.state === "failed" },
    make("summary", {}, badge(row.state, TONES[row.state] ?? "plain"), " ", make("strong", {}, row.name), " ", make("span", { class: "found" }, row.found)),
    pairs(["Asked", row.asked], ["Found", row.found], ["Next step", row.next_step], ["Code", row.code ? make("code", {}, row.code) : null]));
  return make("li", { class: row.state }, details);
}

function asText(items) {
  return items.map((row) => [row.state, row.name, row.found, row.next_step].filter(Boolean).join(" | ")).join("\n");
}
