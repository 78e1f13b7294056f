// An animated GIF (version 89a) of small images.

/** Images [C * H * W] in [0, 1] -> a GIF; a pixel becomes `factor` x `factor`, an image lasts `delay` / 100 seconds. */
function gif(images, [channels, height, width], factor, delay) {
  const area = height * width;
  const keys = images.map((image) => Uint32Array.from({ length: area }, (_, at) => keyOf(image, at, channels, area)));
  const { palette, places } = fewColours(keys);
  const bytes = [...new TextEncoder().encode("GIF89a")];
  const short = (value) => bytes.push(value & 255, value >> 8);
  short(factor * width);
  short(factor * height);
  bytes.push(0xf7, 0, 0, ...palette); // a table of 256 colours for all images
  bytes.push(0x21, 0xff, 11, ...new TextEncoder().encode("NETSCAPE2.0"), 3, 1, 0, 0, 0); // without end
  for (const image of keys) {
    bytes.push(0x21, 0xf9, 4, 0);
    short(delay);
    bytes.push(0, 0, 0x2c, 0, 0, 0, 0);
    short(factor * width);
    short(factor * height);
    bytes.push(0, 8);
    const packed = lzw(enlargedIndices(image, places, height, width, factor));
    for (let at = 0; at < packed.length; at += 255) {
      const piece = packed.slice(at, at + 255);
      bytes.push(piece.length, ...piece);
    }
    bytes.push(0);
  }
  bytes.push(0x3b);
  return new Blob([new Uint8Array(bytes)], { type: "image/gif" });
}

/** The colour of a pixel as one number, 0xRRGGBB. */
function keyOf(image, at, channels, area) {
  const byte = (channel) => Math.round(255 * image[(channels === 3 ? channel * area : 0) + at]);
  return (byte(0) << 16) | (byte(1) << 8) | byte(2);
}

const part = (key, channel) => (key >> (16 - 8 * channel)) & 255;

/** At most 256 colours for all the colours of some images, by halving the widest box of them (median cut). */
function fewColours(images) {
  const counts = new Map();
  for (const image of images) for (const key of image) counts.set(key, (counts.get(key) ?? 0) + 1);
  const boxes = [boxOf([...counts.keys()])];
  while (boxes.length < 256) {
    const widest = boxes.reduce((best, box, n) => (box.width > boxes[best].width ? n : best), 0);
    const { keys, channel, width } = boxes[widest];
    if (!width) break;
    keys.sort((a, b) => part(a, channel) - part(b, channel));
    const half = keys.length >> 1;
    boxes.splice(widest, 1, boxOf(keys.slice(0, half)), boxOf(keys.slice(half)));
  }
  const palette = new Uint8Array(3 * 256);
  const places = new Map();
  for (const [n, { keys }] of boxes.entries()) {
    const weight = keys.reduce((sum, key) => sum + counts.get(key), 0);
    for (const channel of [0, 1, 2]) {
      palette[3 * n + channel] = Math.round(
        keys.reduce((sum, key) => sum + counts.get(key) * part(key, channel), 0) / weight,
      );
    }
    for (const key of keys) places.set(key, n);
  }
  return { palette, places };
}

function boxOf(keys) {
  const widths = [0, 1, 2].map((channel) => {
    const values = keys.map((key) => part(key, channel));
    return values.reduce((a, b) => Math.max(a, b)) - values.reduce((a, b) => Math.min(a, b));
  });
  const width = Math.max(...widths);
  return { keys, width, channel: widths.indexOf(width) };
}

function enlargedIndices(image, places, height, width, factor) {
  const indices = new Uint8Array(height * width * factor * factor);
  let at = 0;
  for (let y = 0; y < height * factor; y++) {
    const row = Math.floor(y / factor) * width;
    for (let x = 0; x < width * factor; x++) indices[at++] = places.get(image[row + Math.floor(x / factor)]);
  }
  return indices;
}

/** GIF's variable-length codes of a row of bytes. */
function lzw(indices) {
  const CLEAR = 256;
  const END = 257;
  const bytes = [];
  let [bits, filled, size] = [0, 0, 9];
  let codes = new Map();
  const emit = (code) => {
    bits |= code << filled;
    filled += size;
    for (; filled >= 8; filled -= 8, bits >>>= 8) bytes.push(bits & 255);
  };
  emit(CLEAR);
  let prefix = indices[0];
  for (let at = 1; at < indices.length; at++) {
    const key = (prefix << 8) | indices[at];
    const known = codes.get(key);
    if (known !== undefined) {
      prefix = known;
      continue;
    }
    emit(prefix);
    const next = END + 1 + codes.size;
    if (next < 4096) {
      codes.set(key, next);
      if (next === 1 << size) size++;
    } else {
      emit(CLEAR);
      codes = new Map();
      size = 9;
    }
    prefix = indices[at];
  }
  emit(prefix);
  emit(END);
  if (filled) bytes.push(bits & 255);
  return bytes;
}
