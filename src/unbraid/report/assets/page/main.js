// One run at a time on the page: read what is known of it, show it, begin.

const report = JSON.parse(byId("report").textContent);
for (const [index, run] of report.runs.entries()) run.index = index;

const views = new Map();

/** Everything about a run that only its own part of the page needs, read when it is first chosen. */
function viewOf(run) {
  if (!views.has(run)) views.set(run, readView(run));
  return views.get(run);
}

async function readView(run) {
  const view = await blockJson(run.details);
  const data = run.dataset && run.block ? await datasetOf(run.dataset, run.imageShape) : null;
  const shown = data?.gallery ?? [];
  view.gallery = shown.map(({ image, label }, n) => ({ image, label, code: Float32Array.from(view.galleryCodes[n]) }));
  view.factors = (data?.factors ?? []).map((factor, n) => ({
    ...factor,
    codes: view.factorCodes[n].map((code) => Float32Array.from(code)),
  }));
  return view;
}

const datasets = new Map();

function datasetOf(block, shape) {
  if (!datasets.has(block)) datasets.set(block, readDataset(block, shape));
  return datasets.get(block);
}

async function readDataset(block, shape) {
  const { gallery, factors } = await blockJson(block);
  const images = await spriteImages(gallery.sprite, gallery.labels.length, shape);
  return {
    gallery: images.map((image, n) => ({ image, label: gallery.labels[n] })),
    factors: await Promise.all(
      factors.map(async (factor) => ({
        ...factor,
        images: await spriteImages(factor.sprite, factor.labels.length, shape),
      })),
    ),
  };
}

let showing = 0; // counts the runs that were asked for

async function showRun(index) {
  const run = report.runs[index];
  const mine = ++showing;
  const view = await viewOf(run);
  if (mine !== showing) return;
  rest(); // what moves, moves the latents of the run before
  run.view = view;
  hand.run = run;
  hand.z = new Float32Array(run.latentDim);
  hand.reach = view.range;
  hand.chosen = view.order[0];
  document.documentElement.style.setProperty("--aspect", run.imageShape ? run.imageShape[2] / run.imageShape[1] : 1);
  byId("run-name").textContent = run.name;
  document.title = `${run.name} · unbraid`;
  byId("run-line").textContent = view.line;
  byId("run-choice").value = index;
  byId("hand").inert = !run.block;
  byId("untrained").hidden = Boolean(run.block);
  if (!run.block) for (const id of ["picture", "pad-plane"]) byId(id).width = 1; // no picture of the run before
  showSliders(view);
  showGallery(view);
  showPad(view);
  const [first] = view.gallery;
  if (first) startFrom(first.code, first.image, "image 1");
  else startFrom(new Float32Array(run.latentDim), null, "the middle of the prior");
  markChosenRun();
  showReconstructions(view);
  showInformation(view);
  showCurves(view);
  showScores(view);
  showProvenance(view);
  showComparison();
  showBetween(view);
  document.body.classList.remove("waiting");
  if (!run.block) return;
  await decode(run, hand.z); // the picture first; then whatever takes many of them
  paintReconstructions();
  paintPad();
  paintBetween();
}

function themes() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = byId("theme");
  const shown = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  const label = () => button.setAttribute("aria-label", `switch to the ${shown() === "dark" ? "light" : "dark"} theme`);
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = shown() === "dark" ? "light" : "dark";
    label();
  });
  dark.addEventListener("change", label);
  label();
}

async function begin() {
  const before = report.live ? recalled() : null;
  if (before?.theme) document.documentElement.dataset.theme = before.theme;
  themes();
  buttons();
  padListeners();
  betweenListeners();
  compareListeners();
  const choice = byId("run-choice");
  fill(
    choice,
    report.runs.map((run) => element("option", { value: run.index }, run.name)),
  );
  choice.addEventListener("change", () => showRun(Number(choice.value)));
  byId("run-choice-box").hidden = report.runs.length < 2;
  byId("copy-commands").addEventListener("click", () => copy(byId("commands").textContent).then(() => say("Copied.")));
  if (report.runs.some((run) => run.block)) startRuntime();
  byId("picture").addEventListener("drawn", () => performance.mark("first-picture"), { once: true });
  const first = report.runs.find((run) => run.name === before?.run) ?? report.runs.find((run) => run.block);
  showRuns(); // it takes its room before anything can be seen
  await showRun(first?.index ?? 0);
  if (report.live) live(before);
}

begin().catch((error) => {
  document.body.classList.remove("waiting");
  say(`The nets do not run in this browser: ${error.message}`);
  throw error;
});
