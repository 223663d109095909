// The search page: searches and suggests while you type, and shows the newest answer. All text is set as text, never as
// HTML.

import { Filters } from "/pages/filters.js";
import { hitElement } from "/pages/hits.js";
import { element, number, share, time } from "/pages/format.js";
import { Suggestions } from "/pages/suggestions.js";

const TYPING_MILLISECONDS = 150;
const COMPOSING_MILLISECONDS = 300;
const RETRY_SECONDS = 1;

/** A text that ends with a Korean letter that is not a syllable yet. */
const UNFINISHED = /[\u1100-\u11ff\u3130-\u318f]$/u;

const MODES = { hybrid: "compares meaning and words", dense: "compares meaning", lexical: "compares words" };

const find = (id) => document.getElementById(id);
const query = find("query");
const filters = new Filters(find("filters"), () => search());
const suggestions = new Suggestions(find("suggestions"), (url) => ask(url), searchFor);

/** A query that is searched as it is, without an interpretation. */
let literal = "";

let token = "";
let timer = 0;
let newest = 0;
let controller = new AbortController();

const mode = () => document.querySelector("input[name=mode]:checked").value;

/** Plans a search, and drops the one that was planned. */
function searchSoon(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(search, milliseconds);
}

/** Searches for a text that was offered. */
function searchFor(text) {
  query.value = text;
  query.focus();
  suggest();
  search();
}

function suggest() {
  suggestions.show(query.value, { language: find("language").value, filter: filters.json() });
}

/** Searches now. An answer that is no longer the newest is dropped. */
async function search() {
  clearTimeout(timer);
  controller.abort();
  const mine = ++newest;
  find("mode-help").textContent = MODES[mode()];
  keepInAddress();
  find("start").hidden = query.value.trim() !== "";
  if (!query.value.trim()) {
    clear();
    return;
  }
  controller = new AbortController();
  find("answer").setAttribute("aria-busy", "true");
  const began = performance.now();
  try {
    const answer = await ask(`/search.json?${parameters()}`, controller.signal);
    if (mine === newest) show(answer, (performance.now() - began) / 1000);
  } catch (error) {
    if (mine === newest) fail(error);
  }
  if (mine === newest) find("answer").setAttribute("aria-busy", "false");
}

/** An error that the server has answered. */
class Refused extends Error {
  constructor({ message, reason, retry_seconds }) {
    super(message);
    this.reason = reason;
    this.retrySeconds = retry_seconds;
  }
}

async function ask(url, signal) {
  const headers = token ? { "X-Chaja-Token": token } : {};
  const response = await fetch(url, { headers, signal });
  if (response.ok) return response.json();
  const isJson = response.headers.get("Content-Type") === "application/json";
  throw new Refused(isJson ? await response.json() : { message: await response.text() });
}

function parameters() {
  const made = new URLSearchParams({
    query: query.value,
    mode: mode(),
    limit: find("limit").value,
  });
  if (find("language").value) made.set("language_code", find("language").value);
  if (filters.json()) made.set("filter", filters.json());
  if (literal && literal === query.value) made.set("interpret", "false");
  return made;
}

function show(answer, seconds) {
  const { hits, stages } = answer;
  const total = Object.values(stages).reduce((sum, each) => sum + each, 0);
  const count = hits.length === 1 ? "1 hit" : `${number(hits.length)} hits`;
  say(hits.length ? `${count} in ${time(total)}; ${time(seconds)} with the way to this browser` : noHits());
  showStages(stages, total);
  const notices = [...answer.warnings];
  if (answer.no_good_answer && hits.length) {
    notices.unshift("The catalogue seems to have no good answer. These are the nearest documents.");
  }
  for (const { phrase, added } of answer.synonyms) notices.push(`Synonyms of ${phrase}: ${added.join(", ")}`);
  const items = notices.map((text) => element("li", {}, text));
  if (answer.interpreted_query) items.unshift(interpretation(answer.interpreted_query));
  find("notices").replaceChildren(...items);
  const largest = Math.max(...hits.map((hit) => hit.lexical_score ?? 0), 1e-9);
  const words = [answer.interpreted_query || query.value, ...answer.synonyms.flatMap(({ added }) => added)].join(" ");
  const context = { query: words, largest, onAttribute: (name, value) => filters.add(name, value) };
  find("hits").replaceChildren(...hits.map((hit, i) => hitElement(hit, i + 1, context)));
}

/** Says what was searched, and offers to search what was typed. */
function interpretation(text) {
  const typed = query.value;
  const button = element("button", { type: "button" }, `Search for “${typed}” instead`);
  button.addEventListener("click", () => {
    literal = typed;
    search();
  });
  return element("li", { class: "interpretation" }, `Interpreted as “${text}”. `, button);
}

function noHits() {
  if (filters.json()) return "No hits: no document matches the filters.";
  if (mode() === "lexical") {
    return "No hits: no document shares a word with the query. The other modes compare meaning.";
  }
  return "No hits.";
}

function showStages(stages, total) {
  const bar = element("div", { class: "bar", "aria-hidden": "true" });
  const legend = element("ul", { "aria-label": "Time by stage" });
  for (const [stage, seconds] of Object.entries(stages)) {
    const part = element("span", { class: `stage-${stage}` });
    part.style.width = `${(100 * seconds) / total}%`;
    bar.append(part);
    legend.append(element("li", { class: `stage-${stage}` }, `${stage} ${time(seconds)} (${share(seconds / total)})`));
  }
  find("stages").replaceChildren(bar, legend);
  find("stages").hidden = false;
}

function say(text, { failed = false } = {}) {
  find("summary").textContent = text;
  find("summary").classList.toggle("failed", failed);
}

function clear() {
  say("");
  find("stages").hidden = true;
  find("notices").replaceChildren();
  find("hits").replaceChildren();
  find("answer").setAttribute("aria-busy", "false");
}

function fail(error) {
  if (error.name === "AbortError") return;
  clear();
  if (!(error instanceof Refused)) {
    say("The server does not answer: it has stopped, or this browser cannot reach it.", { failed: true });
    return;
  }
  if (error.reason === "TOKEN_MISSING_OR_UNKNOWN") {
    askForToken();
    return;
  }
  say(`${error.message[0].toUpperCase()}${error.message.slice(1)}.`, { failed: true });
  if (error.reason === "NOT_READY") searchSoon(1000 * RETRY_SECONDS);
  if (error.retrySeconds) searchSoon(1000 * error.retrySeconds);
}

function askForToken() {
  find("token-form").hidden = false;
  find("search").hidden = true;
  find("start").hidden = true;
  find("token-error").textContent = token ? "The server does not know this token." : "";
  token = "";
  find("token").focus();
}

/** Asks what the page can offer, until the server has loaded. */
async function start() {
  try {
    const options = await ask("/search/options.json");
    find("token-form").hidden = true;
    find("search").hidden = false;
    offer(options);
    await search();
  } catch (error) {
    fail(error);
    if (!(error instanceof Refused) || error.reason === "NOT_READY") setTimeout(start, 1000 * RETRY_SECONDS);
  }
}

function offer(options) {
  find("about").textContent = `${number(options.documents)} documents · model ${options.model}`;
  const languages = options.languages.map((code) => element("option", { value: code }, code));
  find("language").replaceChildren(find("language").options[0], ...languages);
  for (const option of [...find("limit").options]) option.disabled = Number(option.value) > options.max_limit;
  const examples = options.examples.map((text) => {
    const button = element("button", { type: "button" }, text);
    button.addEventListener("click", () => searchFor(text));
    return element("li", {}, button);
  });
  find("examples").replaceChildren(...examples);
  find("start").firstElementChild.hidden = !examples.length;
  filters.offer(options.attributes);
  find("add-filter").hidden = !options.attributes.length;
  readAddress();
  query.focus();
}

/** Keeps the search in the part of the address that browsers do not send, so that it can be shared. */
function keepInAddress() {
  const address = query.value.trim() ? `#${parameters()}` : location.pathname;
  history.replaceState(null, "", address);
}

function readAddress() {
  const kept = new URLSearchParams(location.hash.slice(1));
  query.value = kept.get("query") ?? query.value;
  literal = kept.get("interpret") === "false" ? query.value : "";
  const chosen = document.querySelector(`input[name=mode][value="${CSS.escape(kept.get("mode") ?? "")}"]`);
  if (chosen) chosen.checked = true;
  for (const [id, name] of [["language", "language_code"], ["limit", "limit"]]) {
    const option = [...find(id).options].find((each) => each.value === kept.get(name));
    if (option) option.selected = true;
  }
  filters.read(kept.get("filter") ?? "");
}

query.addEventListener("input", (event) => {
  suggest();
  if (event.isComposing && UNFINISHED.test(query.value)) clearTimeout(timer);
  else searchSoon(event.isComposing ? COMPOSING_MILLISECONDS : TYPING_MILLISECONDS);
});
query.addEventListener("compositionend", () => searchSoon(0));
for (const id of ["modes", "language", "limit"]) find(id).addEventListener("change", search);
find("add-filter").addEventListener("click", () => filters.add());
find("search").addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
find("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = find("token").value.trim();
  find("token").value = "";
  start();
});
start();
