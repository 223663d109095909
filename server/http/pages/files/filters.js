// The filters of the search page: rows of an attribute, a comparison and a value, all of which must hold.

import { element } from "/pages/format.js";

const OPERATORS = { string: ["is"], boolean: ["is"], number: ["is", "at least", "at most"] };

/** Rows of conditions, and the filter that they make. `onChange` is called when it changes. */
export class Filters {
  constructor(list, onChange) {
    this.list = list;
    this.onChange = onChange;
    this.attributes = [];
    this.rows = [];
  }

  /** Takes the attributes of the catalogue with their most frequent values. */
  offer(attributes) {
    this.attributes = attributes;
  }

  /** Adds a row, with an attribute and a value or with the first ones. */
  add(name, value) {
    const kind = { string: "string", number: "number", boolean: "boolean" }[typeof value];
    const fits = (each) => each.name === name && each.kind === kind;
    const known = this.attributes.find(fits) ?? (name === undefined ? this.attributes[0] : { name, kind, values: [], more: true });
    const row = { attribute: known, operator: "is", value: value ?? known.values[0]?.[0] ?? "" };
    if (this.rows.some((each) => each.attribute.name === name && each.operator === "is" && each.value === value)) return;
    this.rows.push(row);
    this.draw();
    this.onChange();
  }

  /** Returns the filter as JSON of the message `Filter`; an empty text if there is none. */
  json() {
    const conditions = this.rows.filter((row) => row.value !== "").map(condition);
    if (!conditions.length) return "";
    return JSON.stringify(conditions.length === 1 ? conditions[0] : { all_of: { filters: conditions } });
  }

  /** Takes a filter that `json` has made. */
  read(text) {
    this.rows = [];
    try {
      const filter = text ? JSON.parse(text) : null;
      for (const each of filter ? (filter.all_of?.filters ?? [filter]) : []) this.rows.push(this.row(each));
    } catch {
      this.rows = [];
    }
    this.draw();
  }

  row({ equals, range }) {
    const { attribute: name, ...rest } = equals ?? range;
    const scalar = rest.value ?? rest.at_least ?? rest.at_most;
    const [[key, value]] = Object.entries(scalar);
    const kind = { string_value: "string", number_value: "number", bool_value: "boolean" }[key];
    const known = this.attributes.find((each) => each.name === name && each.kind === kind);
    const operator = rest.at_least ? "at least" : rest.at_most ? "at most" : "is";
    return { attribute: known ?? { name, kind, values: [], more: true }, operator, value };
  }

  draw() {
    this.list.replaceChildren(...this.rows.map((row) => this.rowElement(row)));
  }

  rowElement(row) {
    const remove = element("button", { type: "button", "aria-label": `Remove the filter on ${row.attribute.name}` }, "Remove");
    remove.addEventListener("click", () => {
      this.rows = this.rows.filter((each) => each !== row);
      this.changed();
    });
    return element("li", {}, this.attributeSelect(row), this.operatorSelect(row), this.valueControl(row), remove);
  }

  attributeSelect(row) {
    const known = this.attributes.includes(row.attribute) ? this.attributes : [row.attribute, ...this.attributes];
    const names = known.map((each) => each.name);
    const labels = known.map((each) => (names.filter((name) => name === each.name).length > 1 ? `${each.name} (${each.kind})` : each.name));
    return select("Attribute", labels, known.indexOf(row.attribute), (index) => {
      row.attribute = known[index];
      row.operator = "is";
      row.value = row.attribute.values[0]?.[0] ?? "";
      this.changed();
    });
  }

  operatorSelect(row) {
    const operators = OPERATORS[row.attribute.kind];
    return select("Comparison", operators, operators.indexOf(row.operator), (index) => {
      row.operator = operators[index];
      this.changed();
    });
  }

  valueControl(row) {
    const { values, more, kind } = row.attribute;
    const known = values.findIndex(([value]) => value === row.value);
    if (!more && row.operator === "is" && known >= 0) {
      const labels = values.map(([value, count]) => `${value} (${count})`);
      return select("Value", labels, known, (index) => {
        row.value = values[index][0];
        this.onChange();
      });
    }
    const id = `values-${this.rows.indexOf(row)}`;
    const options = element("datalist", { id }, ...values.map(([value]) => element("option", { value })));
    const type = kind === "number" ? { type: "number", step: "any" } : { type: "text" };
    const input = element("input", { ...type, list: id, "aria-label": "Value", value: row.value });
    input.addEventListener("change", () => {
      row.value = valueOf(input.value, kind);
      this.onChange();
    });
    return element("span", {}, input, options);
  }

  changed() {
    this.draw();
    this.onChange();
  }
}

function select(label, labels, chosen, onChoice) {
  const made = element("select", { "aria-label": label }, ...labels.map((text) => element("option", {}, text)));
  made.selectedIndex = chosen;
  made.addEventListener("change", () => onChoice(made.selectedIndex));
  return made;
}

function valueOf(text, kind) {
  if (text === "") return "";
  if (kind === "number") return Number(text);
  return kind === "boolean" ? text === "true" : text;
}

function condition({ attribute: { name, kind }, operator, value }) {
  const scalar = { [{ string: "string_value", number: "number_value", boolean: "bool_value" }[kind]]: value };
  if (operator === "is") return { equals: { attribute: name, value: scalar } };
  return { range: { attribute: name, [operator === "at least" ? "at_least" : "at_most"]: scalar } };
}
