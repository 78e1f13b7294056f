// The same image through two models, side by side.

const COMPARED_LATENTS = 5;
const COMPARED_FRAMES = 7;

const comparison = { other: null, stale: 0 };

function showComparison() {
  const others = report.runs.filter((run) => run.block && run !== hand.run);
  byId("compare-section").hidden = !others.length || !hand.run.block;
  if (byId("compare-section").hidden) return;
  const select = byId("compare-with");
  fill(
    select,
    element("option", { value: "" }, "choose a run"),
    others.map((run) => element("option", { value: run.index }, run.name)),
  );
  comparison.other = others.includes(comparison.other) ? comparison.other : null;
  select.value = comparison.other?.index ?? "";
  compareBoth();
}

/** Both are shown the image that the hand started from, or what this run decodes where it started from a code. */
async function compareBoth() {
  const mine = ++comparison.stale;
  const { run, start } = hand;
  const { other } = comparison;
  byId("compare").hidden = !other;
  if (!other || other === run || !run.block) return;
  const image = start.image ?? (await decode(run, start.code));
  const source = picture(image, run.imageShape, "the image that both models are given");
  const sides = [];
  for (const each of [run, other]) {
    if (mine !== comparison.stale) return;
    sides.push(await comparedSide(each, source));
  }
  if (mine === comparison.stale) fill(byId("compare"), sides);
}

async function comparedSide(run, source) {
  const view = await viewOf(run);
  const code = await encode(run, pixelsOf(source, run.imageShape));
  const active = view.order.filter((latent) => view.active[latent]);
  const latents = (active.length ? active : [...view.order]).slice(0, COMPARED_LATENTS);
  const codes = latents.flatMap((latent) => {
    const [low, high] = view.span[latent];
    return Array.from({ length: COMPARED_FRAMES }, (_, n) => {
      const moved = code.slice();
      moved[latent] = low + ((high - low) * n) / (COMPARED_FRAMES - 1);
      return moved;
    });
  });
  const made = [];
  for await (const each of decodeMany(run, [code, ...codes])) made.push(each);
  const rows = latents.map((latent, row) =>
    element(
      "div",
      { class: "compare-row", "--own": `var(--series-${latent % 10})` },
      element("span", { class: "name" }, element("b", {}, `z${latent}`), ` ${view.follows[latent] ?? ""}`),
      Array.from({ length: COMPARED_FRAMES }, (_, n) =>
        picture(
          made[1 + row * COMPARED_FRAMES + n],
          run.imageShape,
          `z${latent} at ${decimal(codes[row * COMPARED_FRAMES + n][latent], 1)}`,
        ),
      ),
    ),
  );
  return element(
    "div",
    { class: "compare-side" },
    element("h3", {}, run.name),
    element(
      "div",
      { class: "compare-pair" },
      element(
        "figure",
        {},
        picture(pixelsOf(source, run.imageShape), run.imageShape, "the image"),
        element("figcaption", {}, "image"),
      ),
      element(
        "figure",
        {},
        picture(made[0], run.imageShape, "its reconstruction"),
        element("figcaption", {}, "reconstruction"),
      ),
    ),
    rows,
  );
}

function compareListeners() {
  byId("compare-with").addEventListener("change", (event) => {
    comparison.other = event.target.value === "" ? null : report.runs[event.target.value];
    compareBoth();
  });
  on("start", compareBoth);
}
