// The charts of the last 15 minutes: uPlot with a legend that shows the newest values, or those at the cursor.

import { clock, element, number, share, time } from "/pages/format.js";

const STYLES = { solid: [], dashed: [7, 4], dotted: [2, 3] };

const lines = (...rows) => rows.map(([name, label, colour, style = "solid"]) => ({ name, label, colour, style }));

/**
 * The charts. `name` is a figure of `/status.json`, `colour` a variable of common.css. The vertical axis ends at `top`,
 * or above the largest value, and at `floor` at least.
 */
export const CHARTS = [
  {
    title: "Calls per second",
    unit: number,
    floor: 1,
    lines: lines(
      ["calls_per_second", "all", "--series-1"],
      ["refused_per_second", "refused", "--series-2", "dashed"],
      ["failed_per_second", "failed", "--series-4", "dotted"],
    ),
  },
  {
    title: "Time of a search",
    unit: time,
    floor: 0.001,
    lines: lines(
      ["p50_seconds", "p50", "--series-3"],
      ["p95_seconds", "p95", "--series-1", "dashed"],
      ["p99_seconds", "p99", "--series-5", "dotted"],
    ),
  },
  {
    title: "Mean time by stage",
    unit: time,
    floor: 0.001,
    stacked: true,
    lines: lines(
      ["tokenize_seconds", "tokenize", "--series-1"],
      ["queue_seconds", "queue", "--series-2"],
      ["encode_seconds", "encode", "--series-3"],
      ["search_seconds", "search", "--series-5"],
      ["fetch_seconds", "fetch", "--quiet"],
    ),
  },
  { title: "Texts in the queue", unit: number, floor: 1, lines: lines(["queue_texts", "waiting", "--series-2"]) },
  {
    title: "Predicted wait of a new call",
    unit: time,
    floor: 0.001,
    lines: lines(["predicted_wait_seconds", "wait", "--series-2"]),
  },
  { title: "Texts in a batch", unit: number, floor: 1, lines: lines(["batch_texts", "mean", "--series-1"]) },
  { title: "Cores used", unit: number, floor: 1, lines: lines(["cpu_cores", "cores", "--series-5"]) },
  {
    title: "Delay of the event loop",
    unit: time,
    floor: 0.001,
    lines: lines(["event_loop_lag_seconds", "p99", "--series-5", "dotted"]),
  },
  { title: "Queries from the cache", unit: share, top: 1, lines: lines(["cache_share", "share", "--series-3"]) },
];

/** Returns a figure such as `7.50 ms` without the zeros at its end. */
const shortest = (text) => text.replace(/(\.\d*?)0+(?= |$)/, "$1").replace(/\.(?= |$)/, "");

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** One chart in a card. */
export class Chart {
  constructor(options, spanSeconds) {
    this.options = options;
    this.spanSeconds = spanSeconds;
    this.values = options.lines.map(() => element("span", {}, "–"));
    this.when = element("p", { class: "when quiet" });
    this.plot = element("div", { class: "plot", tabindex: "0", role: "img" });
    const legend = element(
      "ul",
      { class: "legend" },
      ...options.lines.map((line, i) => element("li", {}, this.swatch(line), line.label, this.values[i])),
    );
    this.card = element(
      "figure",
      { class: "card chart" },
      element("figcaption", { class: "title-row" }, element("h2", {}, options.title), this.when),
      this.plot,
      legend,
    );
    this.data = [[], ...options.lines.map(() => [])];
    this.plot.addEventListener("keydown", (event) => this.onKey(event));
    this.plot.addEventListener("blur", () => this.uplot?.setCursor({ left: -10, top: -10 }));
    new ResizeObserver(() => this.resize()).observe(this.plot);
  }

  /** Returns the sample of a line in the legend. */
  swatch(line) {
    const made = element("span", { class: this.options.stacked ? "line area" : "line", "aria-hidden": "true" });
    if (this.options.stacked) made.style.background = `var(${line.colour})`;
    else made.style.borderTop = `2.5px ${line.style} var(${line.colour})`;
    return made;
  }

  /** Shows the series of `/status.json`. */
  show(series) {
    const at = series.at ?? [];
    this.raw = this.options.lines.map((line) => series[line.name] ?? []);
    this.data = [at, ...(this.options.stacked ? stack(this.raw) : this.raw)];
    if (!this.uplot) this.draw();
    else this.uplot.setData(this.data);
    this.label();
    const last = at.length ? this.raw.map((values) => this.options.unit(values[at.length - 1])) : [];
    const summary = this.options.lines.map((line, i) => `${line.label} ${last[i] ?? "unknown"}`).join(", ");
    const label = `${this.options.title}, the last 15 minutes. Now: ${summary}. Arrow keys show earlier values.`;
    this.plot.setAttribute("aria-label", label);
  }

  /** Draws the chart again, in the present colours. */
  draw() {
    this.uplot?.destroy();
    const { lines, unit, stacked, top, floor } = this.options;
    const axis = {
      stroke: colour("--quiet"),
      font: "12px system-ui, sans-serif",
      grid: { stroke: colour("--grid"), width: 1 },
      ticks: { show: false },
    };
    this.uplot = new window.uPlot(
      {
        ...this.size(),
        legend: { show: false },
        padding: [8, 8, 0, 0],
        cursor: { sync: { key: "status" }, y: false, drag: { x: false, y: false }, points: { size: 7 } },
        scales: {
          x: { time: true, range: (_, min, max) => this.span(max) },
          y: { range: (_, min, max) => [0, top ?? Math.max(max * 1.1, floor)] },
        },
        series: [{}, ...lines.map((line) => this.line(line))],
        bands: stacked ? lines.slice(1).map((line, i) => ({ series: [i + 2, i + 1], fill: colour(line.colour) })) : [],
        axes: [
          { ...axis, size: 24, space: 70, values: (_, splits) => splits.map((at) => clock(at).slice(0, 5)) },
          { ...axis, size: 62, space: 32, values: (_, splits) => splits.map((value) => shortest(unit(value))) },
        ],
        hooks: { setCursor: [() => this.label()] },
      },
      this.data,
      this.plot,
    );
  }

  /** Returns uPlot's options of a line. */
  line({ colour: name, style }) {
    const { stacked } = this.options;
    const shared = { stroke: colour(name), points: { show: false }, spanGaps: false };
    if (stacked) return { ...shared, width: 1, fill: colour(name) };
    return { ...shared, width: 2, dash: STYLES[style] };
  }

  /** Returns the range of the time axis: all 15 minutes, whatever part has samples. */
  span(max) {
    const end = max ?? Date.now() / 1000;
    return [end - this.spanSeconds, end];
  }

  /** Shows the values at the cursor in the legend, or the newest. */
  label() {
    const at = this.data[0];
    const index = this.uplot?.cursor.idx ?? at.length - 1;
    const chosen = this.uplot?.cursor.idx !== null && this.uplot?.cursor.idx !== undefined;
    this.when.textContent = chosen && at[index] ? clock(at[index]) : "";
    this.values.forEach((value, i) => {
      value.textContent = this.options.unit(this.raw?.[i][index]);
    });
  }

  /** Moves the cursor by one sample. */
  onKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const at = this.data[0];
    if (!this.uplot || !at.length) return;
    if (event.key === "Escape") this.uplot.setCursor({ left: -10, top: -10 });
    if (!step) return;
    event.preventDefault();
    const from = this.uplot.cursor.idx ?? at.length;
    const index = Math.min(at.length - 1, Math.max(0, from + step));
    this.uplot.setCursor({ left: this.uplot.valToPos(at[index], "x"), top: 1 });
  }

  size() {
    return { width: Math.max(120, this.plot.clientWidth), height: 150 };
  }

  resize() {
    this.uplot?.setSize(this.size());
  }
}

/** Returns the running sums of several lists. */
function stack(lists) {
  const sums = [];
  for (const list of lists) {
    const below = sums.at(-1);
    sums.push(list.map((value, i) => (value === null ? null : value + (below ? (below[i] ?? 0) : 0))));
  }
  return sums;
}
