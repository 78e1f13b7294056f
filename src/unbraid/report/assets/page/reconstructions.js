// Originals above what the decoder makes of their codes.

const RECONSTRUCTED = 12;

function showReconstructions(view) {
  const { run } = hand;
  const shown = view.gallery.slice(0, RECONSTRUCTED);
  byId("reconstructions-section").hidden = !shown.length;
  if (!shown.length) return;
  const blank = new Float32Array(run.imageShape.reduce((a, b) => a * b));
  fill(
    byId("reconstructions"),
    shown.map(({ image, label }, n) =>
      element(
        "figure",
        { class: "pair" },
        picture(image, run.imageShape, `original ${n + 1}${label ? `, ${label}` : ""}`),
        picture(blank, run.imageShape, `reconstruction of image ${n + 1}${label ? `, ${label}` : ""}`),
      ),
    ),
  );
}

async function paintReconstructions() {
  const { run } = hand;
  const places = byId("reconstructions").querySelectorAll("canvas:last-child");
  const codes = run.view.gallery.slice(0, RECONSTRUCTED).map(({ code }) => code);
  let n = 0;
  for await (const image of decodeMany(run, codes)) {
    if (run !== hand.run) return;
    paint(places[n++], image, run.imageShape);
  }
}
