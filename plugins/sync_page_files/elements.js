// Makes elements. Text is only ever set as text: names come from a CRM and may hold anything.

export function make(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

// Keeps a name that is written from right to left from turning the words around it.
export function name(text, instead = "–") {
  return text ? make("bdi", {}, text) : make("span", { class: "faint" }, instead);
}

export function badge(text, tone) {
  return make("span", { class: `badge ${tone}` }, text);
}

export function button(label, act, attributes) {
  const made = make("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", act);
  return made;
}

export function section(title, ...children) {
  return make("section", {}, make("h2", {}, title), ...children);
}

// Names and values, one pair below the other.
export function pairs(...entries) {
  return make("dl", {}, entries.map(([term, value]) => make("div", {},
    make("dt", {}, term), make("dd", {}, value ?? make("span", { class: "faint" }, "–")))));
}

export function nothing(text) {
  return make("p", { class: "nothing" }, text);
}

// A bar of which a share is filled. Set as a property, since styles as attributes are not allowed.
export function bar(share, label) {
  const filled = make("span", { class: "filled" });
  filled.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return make("span", { class: "bar", role: "img", "aria-label": label }, filled);
}
