// Instants as a person asks for them: how long ago, and at the pointer exactly when.
import { make } from "./elements.js";
import { span } from "./words.js";

export function exact(moment) {
  return moment.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");
}

export function ago(moment) {
  if (!moment) return make("span", { class: "faint" }, "never");
  const seconds = (Date.now() - Date.parse(moment)) / 1000;
  const text = seconds < 0 ? `in ${span(-seconds, 1)}` : `${span(seconds, 1)} ago`;
  return make("time", { datetime: moment, title: exact(moment) }, text);
}

export function at(moment) {
  if (!moment) return make("span", { class: "faint" }, "–");
  return make("time", { datetime: moment }, exact(moment));
}
