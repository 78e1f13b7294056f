// From one image to another, through the codes between them.

const BETWEEN_SHARES = Array.from({ length: 10 }, (_, n) => n / 9);
const BETWEEN_SECONDS = 3;

const between = { ends: { a: null, b: null }, stale: 0 };

function showBetween(view) {
  const [a, b] = view.gallery;
  const nowhere = (latent, value) => ({ image: null, code: view.order.length ? unit(view, latent, value) : [] });
  between.ends = { a: a ?? nowhere(view.order[0], -1.5), b: b ?? nowhere(view.order[0], 1.5) };
  setShare(0);
  const [, height, width] = hand.run.imageShape ?? [1, 1, 1];
  fill(
    byId("between-strip"),
    BETWEEN_SHARES.map((share) =>
      element(
        "button",
        {
          type: "button",
          class: "thumb",
          "aria-label": `${Math.round(100 * share)} % of the way`,
          onclick: () => goBetween(share),
        },
        element("canvas", { width, height, "aria-hidden": "true" }),
      ),
    ),
  );
}

/** The prior's middle, but for one latent. */
function unit(view, latent, value) {
  const code = new Float32Array(view.order.length);
  code[latent] = value;
  return code;
}

function setShare(share) {
  const slider = byId("between-share");
  slider.value = share;
  slider.style.setProperty("--share", share);
  slider.setAttribute("aria-valuetext", `${Math.round(100 * share)} % of the way`);
}

function mixed(share) {
  const { a, b } = between.ends;
  return Float32Array.from(a.code, (value, n) => value + share * (b.code[n] - value));
}

async function paintBetween() {
  const { run } = hand;
  if (!run.block) return;
  const mine = ++between.stale;
  const frames = byId("between-strip").querySelectorAll("canvas");
  let n = 0;
  for await (const image of decodeMany(run, BETWEEN_SHARES.map(mixed))) {
    if (mine !== between.stale || run !== hand.run) return;
    paint(frames[n++], image, run.imageShape);
  }
  byId("between-strip").dataset.painted = run.block;
}

function goBetween(share) {
  rest();
  setShare(share);
  moveTo(mixed(share));
}

function betweenListeners() {
  byId("between-share").addEventListener("input", (event) => goBetween(Number(event.target.value)));
  for (const end of ["a", "b"]) {
    byId(`between-${end}`).addEventListener("click", () => {
      between.ends[end] = { image: hand.start.image, code: hand.z.slice() };
      paintBetween();
      say(`The picture is now the ${end === "a" ? "first" : "last"} one.`);
    });
  }
  byId("between-play").addEventListener("click", () => {
    if (byId("between-play").getAttribute("aria-pressed") === "true") return rest();
    move((seconds) => {
      const share = (1 - Math.cos((2 * Math.PI * seconds) / (2 * BETWEEN_SECONDS))) / 2;
      setShare(share);
      moveTo(mixed(share));
    });
    byId("between-play").setAttribute("aria-pressed", "true");
  });
  on("motion", () => {
    if (motion === null) byId("between-play").setAttribute("aria-pressed", "false");
  });
}
