// Links that leave the page, and what is copied instead.
//
// In Airflow's frame a link can open no window: the frame is not allowed to. The page around it is,
// and is of the same origin, so there the link is clicked in that page. Where the page around is
// somebody else's, the address is copied, which needs no permission of a frame.
import { button, make } from "./elements.js";

export const IS_FRAMED = window.parent !== window;

export function outside(address, label) {
  if (!address) return null;
  return make("a", { href: address, target: "_blank", rel: "noopener" }, label);
}

export function copyButton(text, label = "Copy") {
  return button(label, () => copy(text), { class: "quiet", title: `Copy ${text}` });
}

// The id of a record, to be pasted elsewhere.
export function copiedId(text) {
  return make("span", {}, make("code", {}, text), " ", copyButton(text));
}

export function copy(text) {
  // The newer way is closed to frames that are not allowed it, and to addresses without TLS.
  const area = make("textarea", { class: "hidden", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  const focused = document.activeElement;
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  tell(isCopied ? "Copied." : `Copy it by hand: ${text}`);
}

export function tell(text) {
  const notice = document.getElementById("notice");
  notice.textContent = text;
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => { notice.textContent = ""; }, 8000);
}

export function openFromFrames() {
  if (!IS_FRAMED) return;
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[target=_blank]");
    if (!link) return;
    event.preventDefault();
    openAround(link.href);
  });
}

function openAround(address) {
  try {
    const around = window.parent.document;
    const link = around.createElement("a");
    Object.assign(link, { href: address, target: "_blank", rel: "noopener" });
    around.body.append(link);
    link.click();
    link.remove();
  } catch {
    copy(address);
  }
}
