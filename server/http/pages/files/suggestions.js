// What completes the typed text: buttons below the search box, whose bold part is what was typed.

import { element } from "/pages/format.js";

const MOST = 6;

export class Suggestions {
  #list;
  #ask;
  #choose;
  #newest = 0;

  /** Takes the list of the buttons, a function that asks the server, and one that is called with the chosen text. */
  constructor(list, ask, choose) {
    this.#list = list;
    this.#ask = ask;
    this.#choose = choose;
  }

  /** Shows what completes a text. Without an answer nothing is shown: the search says what is wrong. */
  async show(text, { language, filter }) {
    const mine = ++this.#newest;
    const parameters = new URLSearchParams({ text, limit: MOST });
    if (language) parameters.set("language_code", language);
    if (filter) parameters.set("filter", filter);
    let found = [];
    try {
      if (text.trim()) found = (await this.#ask(`/search/suggestions.json?${parameters}`)).suggestions;
    } catch {
      // Shown as nothing.
    }
    if (mine !== this.#newest) return;
    this.#list.replaceChildren(...found.filter((each) => each.text !== text).map((each) => this.#item(each)));
  }

  #item({ text, start, end }) {
    const parts = [text.slice(0, start), element("b", {}, text.slice(start, end)), text.slice(end)];
    const button = element("button", { type: "button" }, ...parts);
    button.addEventListener("click", () => this.#choose(text));
    return element("li", {}, button);
  }
}
