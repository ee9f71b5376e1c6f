// Tables that are read by eye and by ear, and lists of any length: searched, sorted, by page.
import { addressOf, goTo } from "./address.js";
import { make, nothing } from "./elements.js";
import { number } from "./words.js";

export const PER_PAGE = 50;

// `columns`: title and what a cell shows of a row; `sort` is the column's name where it can be sorted.
export function table(caption, columns, rows, heading = plainHeading) {
  // Roles are said, since a phone shows rows as blocks, which otherwise are no table any more.
  const head = make("tr", { role: "row" }, columns.map((column) => heading(column)));
  const body = rows.map((row) => make("tr", { role: "row" }, columns.map((column) =>
    make("td", { role: "cell", "data-label": column.title, class: column.kind }, make("span", {}, column.cell(row))))));
  return make("div", { class: "scroll" }, make("table", { role: "table" },
    make("caption", {}, caption),
    make("thead", { role: "rowgroup" }, head),
    make("tbody", { role: "rowgroup" }, body)));
}

function plainHeading(column) {
  return make("th", { scope: "col", role: "columnheader", class: column.kind }, column.title);
}

// A heading that sorts: once up, once more down.
function sortedHeading(view, asked) {
  return (column) => {
    if (!column.sort) return plainHeading(column);
    const is = asked.sort === column.sort ? "ascending" : asked.sort === `-${column.sort}` ? "descending" : "none";
    const sort = is === "ascending" ? `-${column.sort}` : column.sort;
    const sign = { ascending: " ▲", descending: " ▼", none: "" }[is];
    const link = make("a", { href: addressOf(view, { ...asked, sort, page: "" }), title: `Sort by ${column.title}` },
      column.title, make("span", { "aria-hidden": "true" }, sign));
    return make("th", { scope: "col", role: "columnheader", "aria-sort": is, class: column.kind }, link);
  };
}

export function list({ caption, view, asked, columns, found, empty }) {
  if (found.rows.length === 0) {
    return [nothing(asked.search || asked.page > 1 ? "Nothing is found. Search for the beginning of another id." : empty)];
  }
  return [table(caption, columns, found.rows, sortedHeading(view, asked)), pager(view, asked, found)];
}

export function pageAsked(asked) {
  return { page: asked.page ?? 1, per_page: PER_PAGE, search: asked.search, sort: asked.sort };
}

export function pager(view, asked, found) {
  const page = Number(asked.page ?? 1);
  const last = found.total === null ? null : Math.max(1, Math.ceil(found.total / PER_PAGE));
  const hasNext = last === null ? found.rows.length === PER_PAGE : page < last;
  if (page === 1 && !hasNext) return null;
  const to = (label, wanted) => make("a", { href: addressOf(view, { ...asked, page: wanted }), class: "step" }, label);
  return make("nav", { "aria-label": "Pages", class: "pages" },
    page > 1 ? to("← Back", page - 1) : null,
    make("span", {}, last === null ? `Page ${number(page)} of very many` : `Page ${number(page)} of ${number(last)}`),
    hasNext ? to("Further →", page + 1) : null);
}

export function searchForm(view, asked, label) {
  const field = make("input", { id: "search", type: "search", value: asked.search ?? "", autocomplete: "off" });
  const form = make("form", { role: "search" }, make("label", { for: "search" }, label), field, make("button", {}, "Search"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    goTo(view, { ...asked, search: field.value.trim(), page: "" });
  });
  return form;
}

export function totalOf(found) {
  return found.total === null ? "more than 10,000" : number(found.total);
}
