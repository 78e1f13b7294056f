// Training curves; the pointer or the arrow keys read off their values.

function showCurves(view) {
  const { log } = view;
  byId("curves-section").hidden = !log;
  if (!log) return;
  const latents = view.order.filter((latent) => log[`kl_${latent}`]);
  chart(byId("curve-recon"), {
    title: "Reconstruction",
    steps: log.step,
    series: [{ name: "recon", values: log.recon, colour: "var(--ink)" }],
    logarithmic: Math.min(...log.recon) > 0,
  });
  chart(byId("curve-kl"), {
    title: "KL of each latent",
    steps: log.step,
    series: latents.map((latent) => ({
      name: `z${latent}`,
      values: log[`kl_${latent}`],
      colour: `var(--series-${latent % 10})`,
      dashes: ["none", "6 2", "2 2"][Math.floor(latent / 10) % 3],
    })),
  });
  const others = Object.keys(log).filter((name) => name !== "step" && !/^kl_\d+$/.test(name) && varies(log[name]));
  const select = byId("curve-choice");
  fill(
    select,
    others.map((name) => element("option", {}, name)),
  );
  if (others.includes("elbo")) select.value = "elbo";
  const other = () =>
    chart(byId("curve-other"), {
      title: select.value,
      steps: log.step,
      series: [{ name: select.value, values: log[select.value] ?? [], colour: "var(--ink)" }],
    });
  select.onchange = other;
  byId("curve-other-box").hidden = !others.length;
  if (others.length) other();
}

/** Whether there is anything to see; of a single row each value is. */
const varies = (values) => values.some((value) => value !== null && (value !== values[0] || values.length === 1));

/** Lines over steps, in a figure with a line of values that never changes its height. */
function chart(place, { title, steps, series, logarithmic = false }) {
  const readings = series.map(({ name, colour }) =>
    element(
      "span",
      { class: "reading" },
      element("i", { "--own": colour, "aria-hidden": "true" }),
      `${name} `,
      element("b", {}),
    ),
  );
  const at = element("span", { class: "reading" });
  const canvas = drawing("svg", { tabindex: 0, role: "img" });
  const last = series.map(({ name, values }) => `${name} ${brief(values.at(-1))}`);
  canvas.setAttribute("aria-label", `${title} over ${brief(steps.at(-1))} steps; at the end ${last.join(", ")}`);
  const box = element("div", { class: "plot" }, canvas);
  fill(place, box, element("figcaption", { class: "readings" }, at, readings));

  const transform = logarithmic ? Math.log10 : (value) => value;
  const all = series.flatMap(({ values }) => values.filter((value) => Number.isFinite(value))).map(transform);
  let [low, high] = all.length ? [Math.min(...all), Math.max(...all)] : [0, 0];
  if (!logarithmic && low > 0 && low < 0.5 * high) low = 0;
  if (high - low < 1e-9) [low, high] = logarithmic ? [low - 0.5, high + 0.5] : ends([low]);
  let index = steps.length - 1;
  let marker = null;
  let dots = [];
  let place_ = { x: () => 0, y: () => 0 };

  const read = (to) => {
    index = clamp(to, 0, steps.length - 1);
    at.textContent = `step ${steps[index].toLocaleString("en")}`;
    for (const [n, { values }] of series.entries()) {
      readings[n].querySelector("b").textContent = brief(values[index]);
      const here = Number.isFinite(values[index]);
      dots[n].setAttribute("visibility", here ? "visible" : "hidden");
      dots[n].setAttribute("cx", place_.x(steps[index]));
      if (here) dots[n].setAttribute("cy", place_.y(values[index]));
    }
    marker.setAttribute("transform", `translate(${place_.x(steps[index])})`);
  };

  whenWidthChanges(box, (width) => {
    const [left, right, top, bottom, height] = [46, 10, 8, 24, 220];
    const x = (step) => left + ((width - left - right) * (step - steps[0])) / Math.max(1, steps.at(-1) - steps[0]);
    const y = (value) => top + (height - top - bottom) * (1 - (transform(value) - low) / (high - low));
    place_ = { x, y };
    const ticks = logarithmic
      ? decades(10 ** low, 10 ** high).map((value) => [value, brief(value)])
      : lettered(rounds(low, high, 4));
    const stepTicks = rounds(steps[0], steps.at(-1), width / 80).filter(
      (step) => step >= steps[0] && step <= steps.at(-1),
    );
    marker = drawing("line", { class: "marker", y1: top, y2: height - bottom });
    dots = series.map(({ colour }) => drawing("circle", { r: 3.5, "--own": colour, class: "dot" }));
    canvas.setAttribute("viewBox", `0 0 ${width} ${height}`);
    fill(
      canvas,
      ticks.map(([value, text]) =>
        drawing(
          "g",
          { class: "tick", transform: `translate(0 ${y(value)})` },
          drawing("line", { x1: left, x2: width - right }),
          drawing("text", { x: left - 6, dy: "0.32em", "text-anchor": "end" }, text),
        ),
      ),
      stepTicks.map((step) =>
        drawing("text", { class: "tick-text", x: x(step), y: height - 6, "text-anchor": "middle" }, shortStep(step)),
      ),
      series.map(({ values, colour, dashes }) =>
        drawing("path", {
          class: "line",
          "--own": colour,
          "stroke-dasharray": dashes ?? "none",
          d: pathOf(steps, values, x, y),
        }),
      ),
      marker,
      dots,
    );
    read(index);
  });

  const nearest = (event) => {
    const box_ = canvas.getBoundingClientRect();
    const distances = steps.map((step) => Math.abs(place_.x(step) - (event.clientX - box_.left)));
    return distances.indexOf(Math.min(...distances));
  };
  canvas.addEventListener("pointermove", (event) => read(nearest(event)));
  canvas.addEventListener("pointerleave", () => read(steps.length - 1));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!step) return;
    event.preventDefault();
    read(index + step);
  });
}

function pathOf(steps, values, x, y) {
  let path = "";
  let pen = "M";
  for (const [n, value] of values.entries()) {
    if (!Number.isFinite(value)) pen = "M";
    else {
      path += `${pen}${x(steps[n]).toFixed(1)},${y(value).toFixed(1)}`;
      pen = "L";
    }
  }
  return path;
}

/** About `count` round numbers between two numbers. */
function rounds(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const unit = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const found = [];
  for (let n = Math.ceil(low / unit - 1e-9); n * unit <= high + 1e-9 * unit; n++)
    found.push(Number((n * unit).toPrecision(12)));
  return found;
}

/** Evenly spaced numbers with their texts, of as many digits as tell them apart. */
function lettered(values) {
  const digits = -Math.floor(Math.log10(Math.abs(values[1] - values[0])) + 1e-9);
  const text = (value) =>
    value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
  return values.map((value) => [value, digits >= 0 && digits <= 4 ? text(value) : brief(value)]);
}

/** 1, 2 and 5 of every power of ten between two numbers; round numbers where that is hardly any. */
function decades(low, high) {
  const found = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) {
    found.push(...[1, 2, 5].map((factor) => Number((factor * power).toPrecision(12))));
  }
  const inside = found.filter((value) => value >= low && value <= high);
  return inside.length > 1 ? inside : rounds(low, high, 3);
}

const shortStep = (step) => (step >= 1000 ? `${Number((step / 1000).toFixed(1))}k` : String(step));
