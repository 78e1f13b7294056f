// A slider for each latent, the most used first, over a drawing of where the codes of the data lie.

const SLIDER_STEP = 0.01;

function showSliders(view) {
  const rows = view.order.map((latent) => sliderRow(view, latent));
  const used = rows.filter((_, n) => view.active[view.order[n]]);
  const unused = rows.filter((_, n) => !view.active[view.order[n]]);
  const idle = used.length
    ? element(
        "details",
        { class: "unused" },
        element("summary", {}, `${unused.length} unused latent${unused.length > 1 ? "s" : ""}`),
        element("p", { class: "note" }, `${unused.length > 1 ? "They hardly depend" : "It hardly depends"} on the image.`),
        unused,
      )
    : unused;
  fill(byId("sliders"), used, unused.length ? idle : null);
  showCode();
  showChosen();
}

function sliderRow(view, latent) {
  const name = `z${latent}`;
  const follows = view.follows[latent];
  const [low, high] = view.range[latent];
  const facts = [
    view.variance && `σ² ${decimal(view.variance[latent], view.variance[latent] < 0.01 ? 4 : 2)}`,
    view.kl && `KL ${decimal(view.kl[latent])}`,
  ].filter(Boolean);
  const said = [
    name,
    follows && `follows ${follows}`,
    view.variance && `posterior variance ${decimal(view.variance[latent], 4)}`,
    view.kl && `KL ${decimal(view.kl[latent])} nats`,
  ];
  return element(
    "div",
    { class: "latent", "data-latent": latent, "--own": `var(--series-${latent % 10})` },
    element(
      "label",
      { for: `slider-${latent}` },
      element("b", {}, name),
      follows ? element("span", { class: "follows" }, follows) : null,
    ),
    element("span", { class: "facts" }, facts.join("   ")),
    element(
      "span",
      { class: "track" },
      view.histogram ? histogram(view.histogram[latent]) : null,
      element("input", {
        type: "range",
        id: `slider-${latent}`,
        min: low, // until the hand reaches further
        max: high,
        step: SLIDER_STEP,
        "aria-label": said.filter(Boolean).join(", "),
        oninput: (event) => {
          rest();
          moveLatent(latent, Number(event.target.value));
        },
        onfocus: () => choose(latent),
        onpointerdown: () => choose(latent),
        ondblclick: () => moveLatent(latent, hand.start.code[latent]),
      }),
    ),
    element("output", { for: `slider-${latent}` }),
  );
}

/** Where the codes of the data lie, between the ends of the slider; `showReach` moves them where it reaches further. */
function histogram(counts) {
  const most = Math.max(...counts, 1);
  const points = counts.map((count, n) => `${n},${20 - (20 * count) / most} ${n + 1},${20 - (20 * count) / most}`);
  return drawing(
    "svg",
    { viewBox: `0 0 ${counts.length} 20`, preserveAspectRatio: "none", "aria-hidden": "true" },
    drawing("polygon", { points: `0,20 ${points.join(" ")} ${counts.length},20` }),
  );
}

function showReach() {
  for (const row of document.querySelectorAll("#sliders .latent")) {
    const { latent } = row.dataset;
    const [low, high] = hand.reach[latent];
    Object.assign(row.querySelector("input"), { min: low, max: high });
    const [from, to] = hand.run.view.range[latent];
    const bars = hand.run.view.histogram?.[latent].length;
    const place = (value) => (bars * (value - from)) / (to - from);
    row.querySelector("svg")?.setAttribute("viewBox", `${place(low)} 0 ${place(high) - place(low)} 20`);
  }
}

function showCode() {
  for (const row of document.querySelectorAll("#sliders .latent")) {
    const value = hand.z[row.dataset.latent];
    const slider = row.querySelector("input");
    slider.value = value;
    slider.setAttribute("aria-valuetext", decimal(value));
    row.querySelector("output").textContent = decimal(value);
    const share = (clamp(value, slider.min, slider.max) - slider.min) / (slider.max - slider.min);
    row.style.setProperty("--share", share);
  }
}

function showChosen() {
  for (const row of document.querySelectorAll("#sliders .latent")) {
    row.classList.toggle("chosen", Number(row.dataset.latent) === hand.chosen);
  }
  nameAnimation();
  byId("gif-name").textContent = `z${hand.chosen}`;
}

on("reach", showReach);
on("code", showCode);
on("chosen", showChosen);

/** Brings a latent's slider into sight and under the arrow keys. */
function focusSlider(latent) {
  const slider = byId(`slider-${latent}`);
  const details = slider.closest("details");
  if (details) details.open = true;
  byId("hand").scrollIntoView({ block: "start", behavior: calm() ? "auto" : "smooth" });
  slider.focus({ preventScroll: true });
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Where nothing else wants the arrow keys, they move the chosen slider.
document.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey || !hand.run?.block) return;
  if (!event.target.matches("body, .top button, #hand button, #information button, #factor button")) return;
  event.preventDefault();
  rest();
  const [low, high] = hand.reach[hand.chosen];
  moveLatent(hand.chosen, clamp(hand.z[hand.chosen] + step * (event.shiftKey ? 0.5 : 0.1), low, high));
});
