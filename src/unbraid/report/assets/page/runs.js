// Several runs: a table to sort, and one number against another.

const table = { column: null, down: true, all: false };

/** What the runs can be compared by: settings that differ among the runs that have them, then scores and other results. */
function columnsOfRuns({ all = false } = {}) {
  const { runs } = report;
  const names = new Set(runs.flatMap((run) => Object.keys(run.settings)));
  const telling = (name) => !["device", "threads", "logger", "log_every", "checkpoint_minutes"].includes(name);
  const given = (name) => runs.map((run) => run.settings[name]).filter((value) => value != null);
  const differs = (name) => new Set(given(name)).size > 1;
  const settings = [...names]
    .filter((name) => all || (telling(name) && differs(name)))
    .map((name) => ({ name, kind: "setting", of: (run) => run.settings[name], text: plain }));
  const results = [...new Set(runs.flatMap((run) => Object.keys(run.results)))].map((name) => ({
    name: name.replaceAll("_", " "),
    kind: "result",
    of: (run) => run.results[name],
    text: brief,
    direction: own(report.metrics, name)?.direction,
  }));
  const scores = [...new Set(runs.flatMap((run) => Object.keys(run.scores)))]
    .filter((name) => !(name in (runs[0].results ?? {})))
    .map((name) => ({
      name,
      kind: "score",
      of: (run) => run.scores[name]?.score,
      text: brief,
      direction: own(report.metrics, name)?.direction,
    }));
  return [...settings, ...scores, ...results];
}

/** A setting as it was given; a hyphen in words is no minus. */
const plain = (value) => (value == null ? "–" : typeof value === "number" ? String(value).replaceAll("-", "−") : String(value));

function showRuns() {
  byId("runs-section").hidden = byId("runs-link").hidden = report.runs.length < 2;
  if (report.runs.length < 2) return;
  const omitted = Object.entries(report.omitted).map(([name, reason]) => `${name}: ${reason}`);
  byId("omitted").hidden = !omitted.length;
  byId("omitted").textContent = `Left out, as they could not be read: ${omitted.join("; ")}`;
  const columns = columnsOfRuns();
  const more = columnsOfRuns({ all: true });
  const button = byId("all-settings");
  const draw = () => {
    button.setAttribute("aria-pressed", String(table.all));
    drawTable(table.all ? more : columns);
  };
  button.hidden = more.length === columns.length;
  button.onclick = () => {
    table.all = !table.all;
    draw();
  };
  draw();
  scatterChoices(columns);
}

const LONGEST = 22; // characters of a cell

/** The ends of a long text: paths and schedules differ in the last of them. */
function shortened(text, most = LONGEST) {
  if (text.length <= most) return text;
  const head = Math.floor((most - 1) / 3);
  return `${text.slice(0, head)}…${text.slice(1 + head - most)}`;
}

const asNumber = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);

function drawTable(columns) {
  const { runs } = report;
  const order = runs.map((_, n) => n);
  const column = columns.find(({ name }) => name === table.column);
  if (table.column === "run")
    order.sort((a, b) => runs[a].name.localeCompare(runs[b].name, "en", { numeric: true }) * (table.down ? -1 : 1));
  else if (column) order.sort((a, b) => compared(column.of(runs[a]), column.of(runs[b])));
  const wordy = ({ of }) => runs.some((run) => typeof of(run) === "string");
  const inWords = columns.map(wordy);
  const head = [{ name: "run", of: (run) => run.name }, ...columns]
    .map((each) => [each.name, wordy(each)])
    .map(([name, words]) =>
      element(
        "th",
        {
          scope: "col",
          class: words ? "words" : null,
          "aria-sort": table.column === name ? (table.down ? "descending" : "ascending") : "none",
        },
        element(
          "button",
          {
            type: "button",
            onclick: () => {
              table.down = table.column === name ? !table.down : !words; // numbers: the largest first
              table.column = name;
              drawTable(columns);
            },
          },
          name,
        ),
      ),
    );
  const bounds = columns.map(({ of }) => {
    const values = runs.map((run) => asNumber(of(run))).filter((value) => value !== null);
    return [Math.min(...values), Math.max(...values)];
  });
  const rows = order.map((index) => {
    const run = runs[index];
    return element(
      "tr",
      { "data-run": index, class: index === hand.run?.index ? "chosen" : null },
      element(
        "th",
        { scope: "row" },
        element("button", { type: "button", onclick: () => showRun(index) }, run.name),
        run.state === "finished" ? null : element("small", {}, run.state),
      ),
      columns.map(({ of, text }, n) => {
        const value = of(run);
        const number = asNumber(value);
        const [low, high] = bounds[n];
        const share = number === null || !(high > low) ? 0 : (number - low) / (high - low);
        const said = text(value);
        return element("td", { class: inWords[n] ? null : "number", title: said, "--share": share.toFixed(3) }, shortened(said));
      }),
    );
  });
  const sorting = byId("runs").tHead?.contains(document.activeElement);
  fill(byId("runs"), element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows));
  if (sorting) byId("runs").tHead.querySelector("th:not([aria-sort=none]) button").focus({ preventScroll: true });
}

/** The order of two cells; whatever is missing comes last, whichever way. */
function compared(one, other) {
  if (one == null || other == null) return (one == null) - (other == null);
  const order =
    typeof one === "number" && typeof other === "number"
      ? one - other
      : String(one).localeCompare(String(other), "en", { numeric: true });
  return table.down ? -order : order;
}

function scatterChoices(columns) {
  const [x, y] = [byId("scatter-x"), byId("scatter-y")];
  const groups = (place, order) =>
    fill(
      place,
      order.map((kind) => {
        const members = columns.map((column, n) => [column, n]).filter(([column]) => column.kind === kind);
        return members.length
          ? element(
              "optgroup",
              { label: `${kind}s` },
              members.map(([{ name }, n]) => element("option", { value: n }, name)),
            )
          : null;
      }),
    );
  groups(x, ["setting", "score", "result"]);
  groups(y, ["score", "result", "setting"]);
  const up = bestOf(columns, ["score", "result"], report.runs);
  const across = bestOf(columns, ["setting"], report.runs.filter((run) => asNumber(up?.of(run)) !== null));
  if (up) y.value = columns.indexOf(up);
  if (across) x.value = columns.indexOf(across);
  const draw = () => scatter(columns[x.value], columns[y.value]);
  x.onchange = y.onchange = draw;
  draw();
}

/** The column that most of these runs have, and not the same: of such numbers before words, seeds last, else the first. */
function bestOf(columns, kinds, runs) {
  const worth = ({ name, kind, of }) => {
    const values = runs.map(of).filter((value) => value != null);
    const numbers = name !== "seed" && values.every((value) => typeof value === "number");
    return [new Set(values).size > 1, values.length, -kinds.indexOf(kind), numbers, name !== "seed"].map(Number);
  };
  const among = columns.filter(({ kind }) => kinds.includes(kind)).map((column) => [column, worth(column)]);
  const better = (one, other) => one.map((value, n) => value - other[n]).find((difference) => difference !== 0) > 0;
  return among.reduce((best, each) => (!best || better(each[1], best[1]) ? each : best), null)?.[0];
}

const FEW = 7; // different values of a setting, which then get a place each

/** Where the values of a column stand on an axis: numbers by their size, words and few settings by their order. */
function scaleOf({ of, kind, text }) {
  const values = report.runs.map(of).filter((value) => value != null);
  const different = [...new Set(values)];
  const numbers = values.every((value) => typeof value === "number");
  if (numbers && !(kind === "setting" && different.length <= FEW)) {
    const [low, high] = ends(values, kind);
    const room = 0.06 * (high - low);
    const ticks = (count) => lettered(rounds(low - room, high + room, count));
    return { low: low - room, high: high + room, at: asNumber, ticks };
  }
  const order = numbers ? (a, b) => a - b : (a, b) => String(a).localeCompare(String(b), "en", { numeric: true });
  different.sort(order);
  const at = (value) => (value == null ? null : different.indexOf(value));
  const ticks = () => different.map((value, n) => [n, text(value)]);
  return { low: -0.5, high: different.length - 0.5, at, ticks, words: !numbers };
}

/** Of an axis: those of the values, of a score from 0 to 1 those of its scale, of a single value some way round it. */
function ends(values, kind) {
  const [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  if (kind === "score" && low >= 0 && high <= 1) return [0, high > 0.5 || high === low ? 1 : high];
  if (high > low) return [low, high];
  const way = 0.1 * Math.abs(low) || 0.5;
  return [low - way, low + way];
}

const saidOf = ({ name, of, text }, run) => `${name} ${text(of(run))}`;

const titleOf = ({ name, direction }) => (direction < 0 ? `${name} (lower is better)` : name);

const CHARACTER = 9; // pixels, with some room
const SHORTEST = 10; // characters of a label; where there is no room for them some are left out

/** A point a run. */
function scatter(across, up) {
  const box = byId("scatter");
  const { runs } = report;
  const [sx, sy] = [scaleOf(across), scaleOf(up)];
  const canvas = drawing("svg", {
    role: "img",
    "aria-label": `${up.name} of ${runs.length} runs over ${across.name}; the table above has the numbers`,
  });
  const readout = element("p", { class: "readings", "aria-hidden": "true" }, "\u00a0");
  const plot = element("div", { class: "plot" }, canvas);
  fill(box, plot, readout);
  whenWidthChanges(plot, (width) => {
    const [left, right, top, bottom, height] = [64, 12, 28, 44, 336];
    const x = (value) => left + ((width - left - right) * (value - sx.low)) / (sx.high - sx.low);
    const y = (value) => top + (height - top - bottom) * (1 - (value - sy.low) / (sy.high - sy.low));
    canvas.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const labels = sx.ticks(width / 110);
    const most = Math.floor((width - left - right) / labels.length / CHARACTER); // characters of each
    const shown = labels.filter((_, n) => n % Math.ceil(SHORTEST / Math.max(1, most)) === 0);
    const points = runs.map((run, index) => {
      const [vx, vy] = [sx.at(across.of(run)), sy.at(up.of(run))];
      if (vx === null || vy === null) return null;
      return drawing("circle", {
        class: index === hand.run?.index ? "point chosen" : "point",
        "data-run": index,
        cx: x(vx),
        cy: y(vy),
        r: 6,
        onclick: () => showRun(index),
        onpointerenter: () =>
          (readout.textContent = `${run.name}: ${saidOf(across, run)}, ${saidOf(up, run)}`),
        onpointerleave: () => (readout.textContent = "\u00a0"),
      });
    });
    fill(
      canvas,
      sy
        .ticks(5)
        .map(([value, text]) =>
          drawing(
            "g",
            { class: "tick", transform: `translate(0 ${y(value)})` },
            drawing("line", { x1: left, x2: width - right }),
            drawing("text", { x: left - 6, dy: "0.32em", "text-anchor": "end" }, sy.words ? shortened(text, 7) : text),
          ),
        ),
      shown.map(([value, text]) =>
        drawing(
          "text",
          { class: "tick-text", x: x(value), y: height - bottom + 18, "text-anchor": "middle" },
          shortened(text, Math.max(most, SHORTEST)),
          drawing("title", {}, text),
        ),
      ),
      drawing(
        "text",
        { class: "axis", x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" },
        titleOf(across),
      ),
      drawing("text", { class: "axis", x: 0, y: 10 }, titleOf(up)),
      points,
    );
  });
}

function markChosenRun() {
  for (const place of document.querySelectorAll("#runs tr[data-run], #scatter .point")) {
    place.classList.toggle("chosen", Number(place.dataset.run) === hand.run.index);
  }
}
