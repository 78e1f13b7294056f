// The trained nets, run by onnxruntime-web in this page.

let runtime = null;

/** onnxruntime, unpacked and compiled once; without threads and workers, which a page opened from a file has not. */
function startRuntime() {
  runtime ??= (async () => {
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.proxy = false;
    ort.env.logLevel = "error";
    ort.env.wasm.wasmBinary = await gunzip(await blockBytes("wasm"));
    return ort;
  })();
  return runtime;
}

const sessions = new Map(); // block -> promise of a session; the most recent last
const MOST_SESSIONS = 8;

async function session(block) {
  const found = sessions.get(block) ?? load(block);
  sessions.delete(block);
  sessions.set(block, found);
  if (sessions.size > MOST_SESSIONS) {
    const [oldest, promise] = sessions.entries().next().value;
    sessions.delete(oldest);
    promise.then((old) => inTurn(() => old.release()));
  }
  return found;
}

async function load(block) {
  const [{ InferenceSession }, bytes] = await Promise.all([startRuntime(), blockBytes(block)]);
  return InferenceSession.create(bytes, { graphOptimizationLevel: "all" });
}

let queue = Promise.resolve();

/** One inference after another: the runtime takes no second before the first has ended. */
function inTurn(work) {
  const mine = queue.then(work);
  queue = mine.catch(() => {});
  return mine;
}

/** Codes [n * L] -> images [n * C * H * W] in [0, 1], row after row. */
async function decode(run, codes) {
  const net = await session(`${run.block}-decoder`);
  const n = codes.length / run.latentDim;
  return inTurn(async () => {
    const z = new ort.Tensor("float32", Float32Array.from(codes), [n, run.latentDim]);
    const { x_hat: image } = await net.run({ z }, ["x_hat"]);
    return image.data;
  });
}

/** Images [n * C * H * W] in [0, 1] -> posterior means [n * L]. */
async function encode(run, images) {
  const net = await session(`${run.block}-encoder`);
  const [channels, height, width] = run.imageShape;
  const n = images.length / (channels * height * width);
  return inTurn(async () => {
    const x = new ort.Tensor("float32", images, [n, channels, height, width]);
    const { mean } = await net.run({ x }, ["mean"]);
    return Float32Array.from(mean.data);
  });
}

/** Many codes, a few at a time so that the hand is never kept waiting; the images one by one. */
async function* decodeMany(run, codes, together = 8) {
  const pixels = run.imageShape.reduce((a, b) => a * b);
  for (let at = 0; at < codes.length; at += together) {
    const part = codes.slice(at, at + together);
    const images = await decode(
      run,
      part.flatMap((code) => Array.from(code)),
    );
    for (let n = 0; n < part.length; n++) yield images.slice(n * pixels, (n + 1) * pixels);
    await new Promise((next) => setTimeout(next));
  }
}
