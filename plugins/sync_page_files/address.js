// The view, its page, search and sort stand in the address, so that a view can be sent as a link.

export function readAddress() {
  const [view, query = ""] = location.hash.slice(1).split("?", 2);
  return { view: view || "status", asked: Object.fromEntries(new URLSearchParams(query)) };
}

// The address of a view; what is empty is left out.
export function addressOf(view, asked = {}) {
  const given = Object.entries(asked).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const query = new URLSearchParams(given).toString();
  return query ? `#${view}?${query}` : `#${view}`;
}

export function goTo(view, asked) {
  location.hash = addressOf(view, asked);
}
