// Originals above what the decoder makes of their codes.

const RECONSTRUCTED = 12;

async function showReconstructions(view) {
  const { run } = hand;
  const shown = view.gallery.slice(0, RECONSTRUCTED);
  byId("reconstructions-section").hidden = !shown.length;
  if (!shown.length) return;
  const made = shown.map(({ label }, n) => picture(new Float32Array(run.imageShape.reduce((a, b) => a * b)), run.imageShape, `reconstruction of image ${n + 1}${label ? `, ${label}` : ""}`));
  fill(
    byId("reconstructions"),
    shown.map(({ image, label }, n) =>
      element(
        "figure",
        { class: "pair" },
        picture(image, run.imageShape, `original ${n + 1}${label ? `, ${label}` : ""}`),
        made[n],
      ),
    ),
  );
  if (!run.block) return;
  let n = 0;
  for await (const image of decodeMany(run, shown.map(({ code }) => code))) {
    if (run !== hand.run) return;
    paint(made[n++], image, run.imageShape);
  }
}
