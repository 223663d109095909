const charts = document.querySelectorAll(".chart");
for (const chart of charts) {
  const { data, layout } = JSON.parse(chart.nextElementSibling.textContent);
  Plotly.newPlot(chart, data, layout, {
    responsive: true,
    displaylogo: false,
    plotlyServerURL: "",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  });
}
// Paper is narrower than most windows, and charts do not shrink automatically.
addEventListener("beforeprint", () => charts.forEach((chart) => Plotly.relayout(chart, { width: 680 })));
addEventListener("afterprint", () => charts.forEach((chart) => Plotly.relayout(chart, { width: null, autosize: true })));
