// The page: it follows its address, shows the view that stands there, and keeps the sentence fresh.
import { addressOf, readAddress } from "./address.js";
import { ask } from "./ask.js";
import { make } from "./elements.js";
import { IS_FRAMED, copy, openFromFrames } from "./links.js";
import { showCheck } from "./view_check.js";
import { showErrors } from "./view_errors.js";
import { showFields } from "./view_fields.js";
import { showOpportunity } from "./view_opportunity.js";
import { showRuns } from "./view_runs.js";
import { showStatus } from "./view_status.js";
import { STATES } from "./words.js";

const FRESH_FOR = 30_000;
const VIEWS = {
  status: showStatus, errors: showErrors, opportunity: showOpportunity,
  fields: showFields, check: showCheck, runs: showRuns,
};
const view = document.getElementById("view");
let turn = 0;

// `quietly`: what is shown stays as it is until the new is there, not even paler.
async function follow({ quietly = false } = {}) {
  const { view: wanted, asked } = readAddress();
  const name = Object.hasOwn(VIEWS, wanted) ? wanted : "status";
  markLink(name);
  const mine = ++turn;
  if (!quietly) view.setAttribute("aria-busy", "true");
  let parts;
  try {
    parts = await VIEWS[name](asked);
  } catch (error) {
    parts = [refused(error)];
  }
  // Somebody may have gone on meanwhile: then the later view stands.
  if (mine !== turn) return;
  view.replaceChildren(...parts.flat().filter(Boolean));
  view.dataset.view = name;
  view.setAttribute("aria-busy", "false");
}

function refused(error) {
  return make("section", { class: "refused" },
    make("h2", {}, "This can't be shown"),
    make("p", {}, error.message),
    error.nextStep ? make("p", {}, make("strong", {}, "Next step: "), error.nextStep) : null,
    error.code ? make("p", { class: "faint" }, "Code: ", make("code", {}, error.code)) : null);
}

function markLink(name) {
  for (const link of document.querySelectorAll("header nav a")) {
    if (link.hash === addressOf(name)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

async function showSentence() {
  let state = "broken";
  let sentence;
  try {
    ({ state, sentence } = await ask("status"));
  } catch (error) {
    sentence = error.nextStep ? `${error.message} Next step: ${error.nextStep}` : error.message;
  }
  const [tone, icon] = STATES[state] ?? STATES.broken;
  const place = document.getElementById("sentence");
  const said = document.getElementById("said");
  place.className = tone;
  place.querySelector(".icon").textContent = icon;
  // Written only when it changed, so that it is read aloud once.
  if (said.textContent !== sentence) said.textContent = sentence;
}

function keepFresh() {
  if (document.hidden) return;
  showSentence();
  const isLookedAt = view.contains(document.activeElement) && document.activeElement !== view;
  if (view.dataset.view === "status" && !isLookedAt) follow({ quietly: true });
}

document.getElementById("copy-address").addEventListener("click", () => copy(location.href));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  view.focus();
});
const ownWindow = document.getElementById("own-window");
ownWindow.hidden = !IS_FRAMED;
ownWindow.addEventListener("click", () => { ownWindow.href = location.href; });
openFromFrames();
window.addEventListener("hashchange", () => { window.scrollTo(0, 0); follow(); });
setInterval(keepFresh, FRESH_FOR);
showSentence();
follow();
