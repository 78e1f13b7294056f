// Around the picture: the gallery of starting images, a dropped file, and the buttons.

const SWEEP_SECONDS = 4;
const GIF_FRAMES = 40;
let animated = 0; // the latent that the button set moving

function showGallery(view) {
  const buttons = view.gallery.map(({ image, code, label }, n) =>
    element(
      "button",
      {
        type: "button",
        class: "thumb",
        "aria-label": `start from image ${n + 1}${label ? `: ${label}` : ""}`,
        title: label,
        onclick: () => {
          rest();
          startFrom(code, image, `image ${n + 1}`);
          say(`Started from image ${n + 1}${label ? `: ${label}` : ""}.`);
        },
      },
      thumbnail(image, hand.run.imageShape),
    ),
  );
  fill(byId("gallery"), buttons);
  byId("gallery").hidden = !buttons.length;
}

/** A picture that only decorates the button around it. */
function thumbnail(image, shape) {
  const canvas = picture(image, shape, "");
  canvas.removeAttribute("role");
  canvas.removeAttribute("aria-label");
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

function showStart() {
  const { image, name } = hand.start;
  byId("original-box").hidden = !image;
  if (image) {
    paint(byId("original"), image, hand.run.imageShape);
    byId("original").setAttribute("aria-label", `the original: ${name}`);
  }
  for (const [n, thumb] of [...byId("gallery").children].entries()) {
    thumb.setAttribute("aria-pressed", String(hand.run.view.gallery[n].image === image));
  }
}

on("start", showStart);

async function openFile(file) {
  rest();
  const { run } = hand;
  try {
    const image = await fileImage(file, run);
    const code = await encode(run, image);
    if (run !== hand.run) return;
    startFrom(code, image, file.name);
    say(`Encoded ${file.name}.`);
  } catch {
    say(`${file.name} could not be read as an image: choose a PNG, JPEG, GIF or WebP file.`);
  }
}

function buttons() {
  const press = (id, action) => byId(id).addEventListener("click", action);
  press("reset", () => {
    rest();
    moveTo(hand.start.code);
    say(`Back at ${hand.start.name}.`);
  });
  press("random", () => {
    rest();
    startFrom(fromPrior(hand.z.length), null, "a code from the prior");
    say("A code drawn from the prior.");
  });
  press("animate", () => (byId("animate").getAttribute("aria-pressed") === "true" ? rest() : animate(hand.chosen)));
  press("copy", async () => {
    await copy(`[${Array.from(hand.z, (value) => Number(value.toFixed(4))).join(", ")}]`);
    say("The code is in the clipboard: unbraid's run.decode() takes it.");
  });
  press("save-png", () => {
    const canvas = byId("picture");
    enlarged(canvas, enlargement(hand.run)).toBlob((blob) => download(blob, "unbraid.png"), "image/png");
    say("Saved unbraid.png.");
  });
  press("save-gif", saveGif);
  byId("file").addEventListener("change", (event) => {
    if (event.target.files[0]) openFile(event.target.files[0]);
    event.target.value = "";
  });
  const files = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragover", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
  addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (!files(event)) return;
    event.preventDefault();
    if (hand.run.block && event.dataTransfer.files[0]) openFile(event.dataTransfer.files[0]);
  });
  on("motion", () => {
    if (motion === null) byId("animate").setAttribute("aria-pressed", "false");
    nameAnimation();
  });
}

/** What the button would do: move the chosen latent, or stop the one that moves. */
function nameAnimation() {
  const moving = byId("animate").getAttribute("aria-pressed") === "true";
  byId("animate").textContent = moving ? `Stop z${animated}` : `Animate z${hand.chosen}`;
}

/** So that saved pictures are about 512 pixels wide. */
const enlargement = (run) => Math.max(1, Math.round(512 / run.imageShape[2]));

/** From the low end of a latent to the high one and back, gently at the turns: the value at a share of the round. */
function sweep(latent, share) {
  const [low, high] = hand.reach[latent];
  return (low + high) / 2 - ((high - low) / 2) * Math.cos(2 * Math.PI * share);
}

function animate(latent) {
  const [low, high] = hand.reach[latent];
  const from = clamp(hand.z[latent], low, high); // the sweep begins where the slider stands
  const begin = Math.acos(1 - (2 * (from - low)) / (high - low)) / (2 * Math.PI);
  move((seconds) => moveLatent(latent, sweep(latent, begin + seconds / SWEEP_SECONDS)));
  animated = latent;
  byId("animate").setAttribute("aria-pressed", "true");
  nameAnimation();
}

async function saveGif() {
  const [run, latent] = [hand.run, hand.chosen];
  const codes = Array.from({ length: GIF_FRAMES }, (_, n) => {
    const code = hand.z.slice();
    code[latent] = sweep(latent, n / GIF_FRAMES);
    return code;
  });
  const frames = [];
  for await (const image of decodeMany(run, codes)) frames.push(image);
  const factor = Math.max(1, Math.round(256 / run.imageShape[2]));
  download(gif(frames, run.imageShape, factor, 5), `unbraid-z${latent}.gif`);
  say(`Saved unbraid-z${latent}.gif.`);
}
