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

/** The image that both are shown: the one the hand started from, or the picture itself where it started from none. */
function comparedImage() {
  if (hand.start.image) return hand.start.image;
  return pixelsOf(byId("picture"), hand.run.imageShape);
}

async function compareBoth() {
  const mine = ++comparison.stale;
  const { other } = comparison;
  byId("compare").hidden = !other;
  if (!other) return;
  const image = comparedImage();
  const source = picture(image, hand.run.imageShape, "the image that both models are given");
  const sides = [];
  for (const run of [hand.run, other]) sides.push(await comparedSide(run, source));
  if (mine === comparison.stale) fill(byId("compare"), sides);
}

async function comparedSide(run, source) {
  const view = await viewOf(run);
  const code = await encode(run, pixelsOf(source, run.imageShape));
  const latents = view.order.filter((latent) => view.active[latent]).slice(0, COMPARED_LATENTS);
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
  const original = element("canvas");
  paint(original, pixelsOf(source, run.imageShape), run.imageShape);
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
  on("start", () => comparison.other && compareBoth());
}
