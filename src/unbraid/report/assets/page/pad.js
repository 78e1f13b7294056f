// Two latents at once: a plane of small pictures, and a point on it that the hand drags.

const PAD_CELLS = 9;

const pad = { x: 0, y: 1, stale: 0 };

function showPad(view) {
  [pad.x, pad.y] = view.order.length > 1 ? view.order : [view.order[0], view.order[0]];
  const along = (latent, axis) => view.follows[latent]?.endsWith(axis);
  if (along(pad.x, "y") && along(pad.y, "x")) [pad.x, pad.y] = [pad.y, pad.x]; // so that the picture goes with the hand
  for (const axis of ["x", "y"]) {
    const select = byId(`pad-${axis}`);
    fill(
      select,
      view.order.map((latent) => element("option", { value: latent }, latentTitle(view, latent))),
    );
    select.value = pad[axis];
  }
  byId("pad-card").hidden = view.order.length < 2;
}

const latentTitle = (view, latent) => `z${latent}${view.follows[latent] ? ` · ${view.follows[latent]}` : ""}`;

/** The pictures around the present code; they are made again once the other latents have come to rest. */
async function paintPad() {
  const { run, z } = hand;
  if (!run?.block || run.latentDim < 2) return;
  const mine = ++pad.stale;
  const key = padKey();
  const [low, high] = [hand.reach[pad.x], hand.reach[pad.y]];
  const codes = [];
  for (let row = 0; row < PAD_CELLS; row++) {
    for (let column = 0; column < PAD_CELLS; column++) {
      const code = z.slice();
      code[pad.x] = low[0] + ((column + 0.5) / PAD_CELLS) * (low[1] - low[0]);
      code[pad.y] = high[1] - ((row + 0.5) / PAD_CELLS) * (high[1] - high[0]);
      codes.push(code);
    }
  }
  const [, height, width] = run.imageShape;
  const sheet = element("canvas", { width: PAD_CELLS * width, height: PAD_CELLS * height });
  const cell = element("canvas");
  let n = 0;
  for await (const image of decodeMany(run, codes)) {
    if (mine !== pad.stale || run !== hand.run) return;
    paint(cell, image, run.imageShape);
    sheet.getContext("2d").drawImage(cell, (n % PAD_CELLS) * width, Math.floor(n / PAD_CELLS) * height);
    n++;
  }
  const plane = byId("pad-plane");
  Object.assign(plane, { width: sheet.width, height: sheet.height });
  plane.getContext("2d").drawImage(sheet, 0, 0);
  pad.painted = key;
  showPoint();
}

/** What the pictures of the plane depend on. */
const padKey = () => {
  const others = [...hand.z].map((value, latent) => (latent === pad.x || latent === pad.y ? "" : value));
  return [hand.run.block, pad.x, pad.y, hand.reach[pad.x], hand.reach[pad.y], others].join();
};

function showPoint() {
  const { x, y } = pad;
  const [rangeX, rangeY] = [hand.reach[x], hand.reach[y]];
  const share = (value, [low, high]) => clamp((value - low) / (high - low), 0, 1);
  const point = byId("pad-point");
  point.style.left = `${100 * share(hand.z[x], rangeX)}%`;
  point.style.top = `${100 * (1 - share(hand.z[y], rangeY))}%`;
  const target = byId("pad");
  target.setAttribute("aria-valuenow", hand.z[x].toFixed(2));
  target.setAttribute("aria-valuemin", rangeX[0]);
  target.setAttribute("aria-valuemax", rangeX[1]);
  target.setAttribute("aria-valuetext", `z${x} ${decimal(hand.z[x])}, z${y} ${decimal(hand.z[y])}`);
}

function movePad(shareX, shareY) {
  rest();
  const [x, y] = [hand.reach[pad.x], hand.reach[pad.y]];
  hand.z[pad.x] = x[0] + clamp(shareX, 0, 1) * (x[1] - x[0]);
  moveLatent(pad.y, y[1] - clamp(shareY, 0, 1) * (y[1] - y[0]));
}

function padListeners() {
  const target = byId("pad");
  const drag = (event) => {
    const box = target.getBoundingClientRect();
    movePad((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  target.addEventListener("pointerdown", (event) => {
    target.setPointerCapture(event.pointerId);
    drag(event);
  });
  target.addEventListener("pointermove", (event) => target.hasPointerCapture(event.pointerId) && drag(event));
  target.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!step) return;
    event.preventDefault();
    rest();
    for (const [latent, direction] of [
      [pad.x, step[0]],
      [pad.y, step[1]],
    ]) {
      const [low, high] = hand.reach[latent];
      moveLatent(latent, clamp(hand.z[latent] + 0.1 * direction, low, high));
    }
  });
  for (const axis of ["x", "y"]) {
    byId(`pad-${axis}`).addEventListener("change", (event) => {
      const [other, before] = [axis === "x" ? "y" : "x", pad[axis]];
      pad[axis] = Number(event.target.value);
      if (pad[other] === pad[axis]) byId(`pad-${other}`).value = pad[other] = before;
      paintPad();
    });
  }
  let waiting = 0;
  on("code", () => {
    if (!hand.run.block || hand.run.latentDim < 2) return;
    showPoint();
    clearTimeout(waiting);
    waiting = setTimeout(() => padKey() !== pad.painted && paintPad(), 200);
  });
}
