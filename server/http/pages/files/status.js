// The status page: asks for the figures every few seconds and shows them. All text is set as text, never as HTML.

import { CHARTS, Chart } from "/pages/charts.js";
import { UNKNOWN, bytes, clock, duration, element, number, share, time, timeParts } from "/pages/format.js";

const RETRY_SECONDS = 5;
const CHANGING_SECONDS = 1;
const KEPT_SECONDS = 900;

const STATES = {
  loading: ["◐", "Loading"],
  serving: ["●", "Serving"],
  lagging: ["◐", "Lagging"],
  refusing: ["▲", "Refusing"],
  draining: ["◑", "Draining"],
  failing: ["▲", "Failing"],
  hanging: ["▲", "Hanging"],
  unreachable: ["■", "No answer"],
};

/** Sentence and alert of the states in which the server is broken. */
const BROKEN = {
  lagging: ["searches lack changes of the store, and health checks report NOT_SERVING until they have them", "ChajaIndexStale"],
  refusing: ["the store has lost changes that were acknowledged, and calls that need it fail; the server's log says what to do", "ChajaIndexStale"],
  failing: ["a thread of the server has died, and health checks report NOT_SERVING: restart it or reload it", "ChajaWorkerDead"],
  hanging: ["the event loop of the server does not respond, and neither do health checks", "ChajaEventLoopLag"],
};

const STAGES = ["tokenize", "queue", "encode", "search", "fetch"];

const find = (id) => document.getElementById(id);
const charts = CHARTS.map((options) => new Chart(options, KEPT_SECONDS));
find("charts").append(...charts.map((chart) => chart.card));

let last = null;
let paused = false;
let timer = 0;

/** Asks for the figures, shows them, and plans the next time. */
async function refresh() {
  clearTimeout(timer);
  if (paused || document.hidden) return;
  let seconds = RETRY_SECONDS;
  try {
    const response = await fetch("/status.json", { signal: AbortSignal.timeout(10000) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    last = await response.json();
    show(last);
    seconds = last.state.name === "serving" ? last.sample_seconds : CHANGING_SECONDS;
  } catch {
    showUnreachable();
  }
  timer = setTimeout(refresh, seconds * 1000);
}

function show(status) {
  document.querySelector("main").classList.remove("stale");
  showState(status.state.name);
  find("updated").textContent = `updated ${clock(status.now)}`;
  const { build, model } = status.gauges;
  const facts = [model.name && `model ${model.name}`, build.version && `version ${build.version}`];
  facts.push(`up ${duration(status.now - status.gauges.started_at)}`);
  find("facts-line").textContent = facts.filter(Boolean).join(" · ");
  const rate = status.figures ? ` · ${number(status.figures.calls_per_second)} calls/s` : "";
  document.title = `${STATES[status.state.name][1]}${rate} · Chaja`;
  const covered = Math.min(status.window_seconds, status.now - status.gauges.started_at);
  for (const each of document.querySelectorAll(".window")) each.textContent = coveredTime(covered);
  showLoading(status);
  showFindings(status);
  showTiles(status);
  showStages(status.figures?.stages ?? []);
  showMethods(status.figures?.methods ?? []);
  showSlowest(status.slowest);
  showFacts(status);
  for (const chart of charts) chart.show(status.series);
}

/** Returns the time that rates, shares and percentiles cover. */
const coveredTime = (seconds) => (seconds >= 60 ? "the last minute" : `the last ${duration(seconds)}`);

function showState(name) {
  const [mark, word] = STATES[name];
  find("state").dataset.state = name;
  setText(find("state-mark"), mark);
  setText(find("state-word"), word);
}

function showUnreachable() {
  showState("unreachable");
  document.title = "No answer · Chaja";
  document.querySelector("main").classList.add("stale");
  const since = last ? `The figures are those of ${clock(last.now)}.` : "";
  const text = `the server does not answer: it has stopped, or this browser cannot reach it. ${since}`;
  list(find("findings"), [finding("problem", text.trim(), "ChajaDown")]);
}

function showLoading({ state, gauges }) {
  const shown = state.name === "loading" || state.name === "draining";
  find("loading").hidden = !shown;
  if (!shown) return;
  const loading = state.name === "loading";
  setText(find("loading-title"), loading ? "The server is loading" : "The server is draining");
  const progress = state.total ? `: ${number(state.done)} of ${number(state.total)}` : "";
  const draining = "It finishes the calls in flight, then stops. Health checks already report NOT_SERVING.";
  const step = state.activity ? `Now: ${state.activity}${progress}.` : "";
  const texts = gauges.encoded_texts ? `${number(gauges.encoded_texts)} texts are encoded.` : "";
  const text = [step, texts, "Calls get UNAVAILABLE until it serves."].filter(Boolean).join(" ");
  setText(find("loading-text"), loading ? text : draining);
  const bar = find("loading-progress");
  if (loading && state.total) {
    bar.max = state.total;
    bar.value = state.done;
  } else {
    bar.removeAttribute("value");
  }
}

function finding(kind, text, alert) {
  const word = { problem: "Problem", warning: "Warning", good: "Good" }[kind];
  const sentence = `${text[0].toUpperCase()}${text.slice(1)}`;
  const parts = [element("strong", {}, word), element("span", {}, sentence)];
  if (alert) parts.push(element("span", { class: "quiet" }, "runbook: ", element("code", {}, alert)));
  return element("li", { class: "finding", "data-kind": kind }, ...parts);
}

function showFindings({ findings, state }) {
  const rows = findings.map((each) => finding(each.kind, each.text, each.alert));
  if (state.name in BROKEN) rows.unshift(finding("problem", ...BROKEN[state.name]));
  if (!rows.length && state.name === "serving") rows.push(finding("good", "Nothing needs attention", ""));
  list(find("findings"), rows);
}

function showTiles({ figures, gauges }) {
  const f = figures ?? { search: {} };
  const graph = gauges.graph_vectors > 0;
  const tiles = [
    ["Calls", number(f.calls_per_second), "/s", `refused ${share(f.refused_share)} · failed ${share(f.failed_share)}`],
    ["Time of a search, p99", ...timeParts(f.search.p99_seconds), searchDetail(f)],
    ["Queue", number(f.queue_texts), f.queue_texts === 1 ? "text" : "texts", `predicted wait ${time(f.predicted_wait_seconds)}`],
    ["Batch, mean", number(f.batch_texts), "texts", `${number(f.batch_tokens)} tokens`],
    ["Queries from the cache", ...split(share(f.cache_share)), `hits from the cache ${share(f.hit_cache_share)}`],
    ["Recall@10", gauges.recall === null ? UNKNOWN : gauges.recall.toFixed(3), "", graph ? `graph, ef_search ${number(gauges.ef_search)}` : "every vector is compared"],
    ["Catalogue", number(gauges.documents), "documents", `${number(gauges.vectors)} vectors · ${number(f.changes_per_second)} changes/s`],
    ["Cores used", number(f.cpu_cores), "", `memory ${bytes(gauges.memory_bytes)} · loop lag ${time(f.event_loop_lag_seconds)}`],
  ];
  list(
    find("tiles"),
    tiles.map(([name, value, unit, detail]) =>
      element(
        "div",
        { class: "tile card" },
        element("dt", {}, name),
        element("dd", { class: "number" }, value, " ", element("small", {}, unit)),
        element("dd", { class: "detail" }, detail),
      ),
    ),
  );
}

function searchDetail(f) {
  const detail = `p50 ${time(f.search.p50_seconds)} · p95 ${time(f.search.p95_seconds)}`;
  if (f.within_objective_share === null || f.within_objective_share === undefined) return detail;
  return `${detail} · ${share(f.within_objective_share)} within ${time(f.latency_objective_seconds)}`;
}

/** Splits a text such as `42 %` into [number, unit]. */
function split(text) {
  const [value, unit = ""] = text.split(" ");
  return [value, unit];
}

function showStages(stages) {
  list(
    find("stages"),
    stages.map((each) => {
      const { p50_seconds, p95_seconds, p99_seconds } = each.percentiles;
      const swatch = element("span", { class: `swatch stage-${each.stage}`, "aria-hidden": "true" });
      const bar = barOf([[each.stage, each.share ?? 0]]);
      return element(
        "tr",
        {},
        element("th", { scope: "row" }, swatch, each.stage),
        ...[p50_seconds, p95_seconds, p99_seconds].map((seconds) => element("td", {}, time(seconds))),
        element("td", { class: "wide" }, element("div", { class: "with-number" }, bar, element("span", {}, share(each.share)))),
      );
    }),
  );
}

/** Returns a bar of [stage, share] parts. */
function barOf(parts) {
  const bar = element("div", { class: "bar", "aria-hidden": "true" });
  for (const [stage, part] of parts) {
    const made = element("span", { class: `stage-${stage}` });
    made.style.width = `${part * 100}%`;
    bar.append(made);
  }
  return bar;
}

function showMethods(methods) {
  find("no-methods").hidden = methods.length > 0;
  find("methods-table").hidden = methods.length === 0;
  list(
    find("methods"),
    methods.map((each) => {
      const { p50_seconds, p95_seconds, p99_seconds } = each.percentiles;
      return element(
        "tr",
        {},
        element("th", { scope: "row", title: `${each.service}/${each.method}` }, each.method),
        element("td", {}, number(each.calls_per_second)),
        element("td", {}, share(each.refused_share)),
        element("td", {}, share(each.failed_share)),
        element("td", { class: "if-wide" }, time(p50_seconds)),
        element("td", { class: "if-wide" }, time(p95_seconds)),
        element("td", {}, time(p99_seconds)),
      );
    }),
  );
}

function showSlowest(searches) {
  find("no-slowest").hidden = searches.length > 0;
  find("slowest").hidden = searches.length === 0;
  list(
    find("slowest-rows"),
    searches.map((each) => {
      const parts = STAGES.filter((stage) => stage in each.stages).map((stage) => [stage, each.stages[stage]]);
      const words = parts.map(([stage, seconds]) => `${stage} ${time(seconds)}`).join(", ");
      const length = `${number(each.characters)} characters`;
      return element(
        "tr",
        {},
        element("td", {}, clock(each.ended_at)),
        element("th", { scope: "row" }, time(each.seconds)),
        element("td", { class: "wide" }, barOf(parts.map(([stage, seconds]) => [stage, seconds / each.seconds])), element("span", { class: "stage-words quiet" }, words)),
        element("td", { class: "left" }, each.filtered ? `${each.mode}, filtered` : each.mode),
        element("td", { class: "text" }, each.text === null ? length : `“${each.text}”`),
        element("td", {}, each.batch_texts ? `batch of ${number(each.batch_texts)}` : UNKNOWN),
      );
    }),
  );
}

function showFacts(status) {
  const { gauges, codes, reasons } = status;
  const { model, build } = gauges;
  const ago = (unix) => (unix ? `${duration(status.now - unix)} ago` : "none");
  const groups = [
    [
      "Model and catalogue",
      ["model", model.name ?? UNKNOWN],
      ["revision", model.revision ?? UNKNOWN],
      ["encoder", [model.encoder, model.quantization].filter(Boolean).join(", ") || UNKNOWN],
      ["vectors in the graph", number(gauges.graph_vectors)],
      ["vectors compared exactly", number(gauges.exact_vectors)],
      ["dead vectors", number(gauges.dead_vectors)],
      ["newest change", number(gauges.sequence)],
    ],
    [
      "Process",
      ["started", new Date(status.gauges.started_at * 1000).toLocaleString("en-GB")],
      ["versions", `Chaja ${build.version}, Python ${build.python_version}, ONNX Runtime ${build.onnxruntime_version}`],
      ["workers alive", gauges.workers === null ? UNKNOWN : `${number(gauges.workers_alive)} of ${number(gauges.workers)}`],
      ["memory", `${bytes(gauges.memory_bytes)}, of it cache ${bytes(gauges.cache_bytes)}`],
      ["file descriptors", `${number(gauges.open_descriptors)} of ${number(gauges.max_descriptors)}`],
      ["disk of the store, free", bytes(gauges.data_free_bytes)],
      ["snapshot", ago(gauges.snapshot_timestamp_seconds)],
      ["backup", gauges.backup_interval_seconds ? ago(gauges.backup_timestamp_seconds) : "off"],
    ],
    ["Answers of the last 15 minutes, by code", ...counts(codes)],
    ["Errors of the last 15 minutes, by reason", ...counts(reasons)],
  ];
  list(
    find("facts"),
    groups.map(([title, ...rows]) =>
      element(
        "div",
        {},
        element("h3", {}, title),
        element("dl", {}, ...rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)))),
      ),
    ),
  );
}

/** Returns rows of names and counts, or one that says that there are none. */
function counts(byName) {
  const rows = Object.entries(byName).map(([name, count]) => [name, number(count)]);
  return rows.length ? rows : [["none", ""]];
}

/** Replaces the children of an element, unless they would look the same: screen readers announce every change. */
function list(parent, children) {
  const made = element("div", {}, ...children);
  if (parent.innerHTML !== made.innerHTML) parent.replaceChildren(...made.childNodes);
}

function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

find("pause").addEventListener("click", () => {
  paused = !paused;
  find("pause").setAttribute("aria-pressed", String(paused));
  find("pause").textContent = paused ? "Continue" : "Pause";
  refresh();
});
document.addEventListener("visibilitychange", refresh);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.draw()));
refresh();
