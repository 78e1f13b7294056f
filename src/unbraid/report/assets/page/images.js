// Images between canvases, files and the nets' [C, H, W] numbers from 0 to 1.

/** Draws an image [C * H * W] on a canvas of the same size; the style makes it larger, pixel by pixel. */
function paint(canvas, image, [channels, height, width]) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const pixels = context.createImageData(width, height);
  const area = width * height;
  for (let at = 0; at < area; at++) {
    for (let channel = 0; channel < 3; channel++) {
      pixels.data[4 * at + channel] = Math.round(255 * image[channels === 3 ? channel * area + at : at]);
    }
    pixels.data[4 * at + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
}

/** The image [C * H * W] on a canvas of its own. */
function picture(image, shape, label) {
  const canvas = element("canvas", { class: "picture", role: "img", "aria-label": label });
  paint(canvas, image, shape);
  return canvas;
}

/** Whatever can be drawn, resized to the net's input, as numbers [C * H * W]: its middle, or all between white bars. */
function pixelsOf(source, [channels, height, width], { x = 0, y = 0, w = source.width, h = source.height, bars } = {}) {
  const canvas = element("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const scale = (bars ? Math.max : Math.min)(w / width, h / height);
  const [cutWidth, cutHeight] = [width * scale, height * scale];
  context.imageSmoothingEnabled = scale !== 1;
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white"; // where the file is transparent and beside it, as training has it
  context.fillRect(0, 0, width, height);
  const [left, top] = [x + (w - cutWidth) / 2, y + (h - cutHeight) / 2];
  context.drawImage(source, left, top, cutWidth, cutHeight, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const area = width * height;
  const image = new Float32Array(channels * area);
  for (let at = 0; at < area; at++) {
    const [red, green, blue] = data.subarray(4 * at, 4 * at + 3);
    if (channels === 3) [image[at], image[area + at], image[2 * area + at]] = [red / 255, green / 255, blue / 255];
    else image[at] = red === green && green === blue ? red / 255 : (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
  }
  return image;
}

/** The images [C * H * W] that stand side by side in a picture of a data set. */
async function spriteImages(address, count, shape) {
  const sheet = new Image();
  sheet.src = address;
  await sheet.decode();
  const [, h, w] = shape;
  return Array.from({ length: count }, (_, n) => pixelsOf(sheet, shape, { x: n * w, y: 0, w, h }));
}

/** An image file of the reader's own, as the pictures that the run was trained on were read. */
async function fileImage(file, { imageShape, settings }) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  return pixelsOf(bitmap, imageShape, { bars: settings.crop === "pad" });
}

/** The picture on a canvas, `factor` times as large, every pixel a square. */
function enlarged(canvas, factor) {
  const large = element("canvas", { width: factor * canvas.width, height: factor * canvas.height });
  const context = large.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, 0, 0, large.width, large.height);
  return large;
}
