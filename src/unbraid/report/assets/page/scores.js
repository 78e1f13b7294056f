// The scores of the run, each beside those that papers report on the same data.

function showScores(view) {
  const run = hand.run;
  const names = Object.keys(run.scores);
  byId("scores-empty").hidden = names.length > 0;
  byId("scores").hidden = !names.length;
  const known = own(report.published, run.settings.data) ?? {};
  const rows = names.map((name) => {
    const { score, parts } = run.scores[name];
    const about = own(report.metrics, name);
    const published = own(known, name) ?? [];
    const unit = [score, ...published.map(([, value]) => value)].every((value) => value >= 0 && value <= 1);
    const best = !about || about.direction > 0; // at 1: of others a large value would look good on the line
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, name, about?.description ? element("small", {}, about.description) : null),
      element(
        "td",
        { class: "number" },
        brief(score),
        about?.direction < 0 ? element("small", {}, "lower is better") : null,
      ),
      element("td", { class: "strip-cell" }, unit && best ? strip(score, published) : null),
      element(
        "td",
        { class: "parts" },
        Object.entries(parts).map(([part, value]) =>
          element("span", {}, `${part.replaceAll("_", " ")} ${brief(value)}`),
        ),
      ),
    );
  });
  const beside = names.some((name) => own(known, name)) ? ", beside published scores" : "";
  const head = ["metric", "score", `from 0 to 1, the best${beside}`, "parts"].map((name) =>
    element("th", { scope: "col", class: name === "score" ? "number" : null }, name),
  );
  fill(byId("scores"), element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows));
}

/** What a table holds under a name; a metric may be called "constructor". */
const own = (held, name) => (Object.hasOwn(held, name) ? held[name] : undefined);

/** Ours as a filled dot, published ones as rings with their names, on a line from 0 to 1. */
function strip(score, published) {
  const said = published.map(([method, value, source]) => `${method} ${decimal(value)} (${source})`);
  return element(
    "span",
    { class: "strip", role: "img", "aria-label": [`this run ${decimal(score)}`, ...said].join(", ") },
    published.map(([method, value, source]) =>
      element("i", { class: "ring", "--at": value, title: `${method} ${decimal(value)} (${source})` }),
    ),
    element("i", { class: "ours", "--at": score, title: `this run ${decimal(score)}` }),
    published.length ? element("span", { class: "strip-names", "aria-hidden": "true" }, said.join(" · ")) : null,
  );
}
