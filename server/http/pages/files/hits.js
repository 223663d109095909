// One hit: title, the passage that matched, attributes and scores.

import { element, number } from "/pages/format.js";

const FIELDS = { title: "title", text: "text", example: "example query" };

/** Returns the element of a hit. `largest` is the largest lexical score of the answer. */
export function hitElement(hit, rank, { query, largest, onAttribute }) {
  return element(
    "li",
    { class: "hit card" },
    element("p", { class: "rank" }, rank),
    element(
      "div",
      {},
      element("h2", {}, hit.title || hit.document_id),
      element("p", { class: "id quiet" }, hit.document_id),
      ...matchElements(hit.match, query),
      ...ruleElements(hit.rules),
      attributesElement(hit.attributes, onAttribute),
    ),
    scoresElement(hit, largest),
  );
}

function matchElements(match, query) {
  if (!match) return [];
  const language = match.language_code ? ` (${match.language_code})` : "";
  const passage = element("mark", {}, ...words(match.passage, query));
  const before = `${match.cut_before ? "… " : ""}${match.before}`;
  const after = `${match.after}${match.cut_after ? " …" : ""}`;
  return [
    element("p", { class: "match" }, before, passage, after),
    element("p", { class: "where quiet" }, `matched its ${FIELDS[match.field]}${language}`),
  ];
}

/** Returns a text as nodes, with the words of the query in bold. */
function words(text, query) {
  const terms = query.split(/\s+/u).filter((term) => [...term].length > 1);
  if (!terms.length) return [text];
  const escaped = terms.map((term) => term.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&"));
  const parts = text.split(new RegExp(`(${escaped.join("|")})`, "gi"));
  return parts.map((part, i) => (i % 2 ? element("b", {}, part) : part));
}

function ruleElements(rules) {
  return rules.map(({ id, effect, score_change: change }) => {
    const by = change ? ` (${change > 0 ? "+" : "−"}${Math.abs(change).toFixed(3)})` : "";
    return element("p", { class: "rule quiet" }, `${effect} by the rule ${id}${by}`);
  });
}

function attributesElement(attributes, onAttribute) {
  const list = element("ul", { class: "attributes", "aria-label": "Attributes" });
  for (const [name, value] of Object.entries(attributes)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      const button = element("button", { type: "button", title: "Add as a filter" }, `${name}: ${each}`);
      button.addEventListener("click", () => onAttribute(name, each));
      list.append(element("li", {}, button));
    }
  }
  return list;
}

function scoresElement(hit, largest) {
  const rows = element("dl", { class: "scores" }, element("div", { class: "first" }, ...pair("score", hit.score)));
  const legs = [
    ["dense", hit.dense_score, hit.dense_score],
    ["lexical", hit.lexical_score, (hit.lexical_score ?? 0) / largest],
  ];
  for (const [name, score, part] of legs) {
    if (score === null) continue;
    const fill = element("span");
    fill.style.width = `${100 * Math.min(1, Math.max(0, part))}%`;
    const meter = element("dd", { class: `meter ${name}`, "aria-hidden": "true" }, fill);
    rows.append(element("div", {}, ...pair(name, score), meter));
  }
  return rows;
}

const pair = (name, score) => [element("dt", {}, name), element("dd", {}, Math.abs(score) >= 10 ? number(score) : score.toFixed(3))];
