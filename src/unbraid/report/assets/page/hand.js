// The hand on the latents: one code z, whoever moves it, and the picture that follows.

const hand = {
  run: null,
  z: new Float32Array(0),
  reach: [], // [low, high] of each latent's slider
  start: { code: new Float32Array(0), image: null, name: "" }, // what `reset` goes back to
  chosen: 0, // the latent that arrow keys and buttons act on
  changed: new EventTarget(), // "code" whenever z moves, "reach", "start", "chosen"
};

const tell = (what) => hand.changed.dispatchEvent(new Event(what));
const on = (what, listener) => hand.changed.addEventListener(what, listener);

function moveLatent(latent, value) {
  hand.z[latent] = value;
  tell("code");
}

function moveTo(code) {
  hand.z.set(code);
  widen(code);
  tell("code");
}

/** Sliders reach what they are to show: a code beyond the ends of the data's would stand at the end, and not be so. */
function widen(code) {
  hand.reach = hand.reach.map(([low, high], latent) => [
    Math.min(low, Math.floor(2 * code[latent]) / 2),
    Math.max(high, Math.ceil(2 * code[latent]) / 2),
  ]);
  tell("reach");
}

/** Begins anew from this code; `image` [C * H * W] is what it was encoded from, if anything. */
function startFrom(code, image, name) {
  hand.start = { code: Float32Array.from(code), image, name };
  hand.reach = hand.run.view.range;
  tell("start");
  moveTo(code);
}

function choose(latent) {
  hand.chosen = latent;
  tell("chosen");
}

// ---- the picture: at most one inference at a time, the newest code next, in step with the screen ----

let wanted = false;
let following = false;

on("code", () => {
  wanted = true;
  if (!following) requestAnimationFrame(follow);
  following = true;
});

async function follow() {
  try {
    while (wanted && hand.run.block) {
      wanted = false;
      const run = hand.run;
      const image = await decode(run, hand.z);
      if (run !== hand.run) continue;
      const canvas = byId("picture");
      paint(canvas, image, run.imageShape);
      canvas.dispatchEvent(new Event("drawn"));
      if (wanted) await new Promise(requestAnimationFrame);
    }
  } finally {
    following = false;
  }
}

/** A code that the model's own prior might have drawn, N(0, 1) in each latent. */
function fromPrior(size) {
  return Float32Array.from({ length: size }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
    return radius * Math.cos(2 * Math.PI * Math.random());
  });
}

// ---- movement by itself ----

let motion = null; // the frame that is asked for, null at rest

/** Calls `step(seconds)` at every frame until `rest()` or another motion. */
function move(step) {
  rest();
  const began = performance.now();
  const frame = (now) => {
    motion = requestAnimationFrame(frame);
    step((now - began) / 1000);
  };
  motion = requestAnimationFrame(frame);
  tell("motion");
}

function rest() {
  if (motion === null) return;
  cancelAnimationFrame(motion);
  motion = null;
  tell("motion");
}
