// Asks the JSON below `api/`. An error says what is wrong and what to do, or it is told plainly.

export class Refusal extends Error {
  constructor(said) {
    super(said.message);
    this.code = said.code;
    this.nextStep = said.next_step;
  }
}

export async function ask(path, asked = {}, options = {}) {
  let answer;
  try {
    answer = await fetch(apiAddress(path, asked), { headers: { Accept: "application/json" }, ...options });
  } catch {
    throw new Refusal({ message: "Airflow does not answer.", next_step: "see whether its API server runs, and load the page again." });
  }
  const said = await answer.json().catch(() => null);
  if (answer.ok && said !== null) return said;
  throw new Refusal(said?.message ? said : { message: `Airflow answered ${answer.status}.`, next_step: "load the page again." });
}

// Relative, since Airflow may live below a path of its own.
export function apiAddress(path, asked = {}) {
  const given = Object.entries(asked).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const query = new URLSearchParams(given).toString();
  return query ? `api/${path}?${query}` : `api/${path}`;
}

// The header is what another site's page can't send.
export function retryAll() {
  return ask("errors/retry", {}, { method: "POST", headers: { "X-Requested-With": "dynamics-sync" } });
}
