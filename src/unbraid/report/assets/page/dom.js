// Elements, numbers and words. Whatever comes from a run, a config or a file enters the page as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes, `on...` listeners and children, which are elements or text. */
function element(tag, attributes = {}, ...children) {
  return dressed(document.createElement(tag), attributes, children);
}

function drawing(tag, attributes = {}, ...children) {
  return dressed(document.createElementNS(SVG, tag), attributes, children);
}

function dressed(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) node.style.setProperty(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child != null));
  return node;
}

const byId = (id) => document.getElementById(id);

function fill(place, ...children) {
  place.replaceChildren(...children.flat().filter((child) => child != null));
}

/** A number as print sets it: a real minus, and none before a zero. */
function decimal(value, digits = 2) {
  if (value == null || !Number.isFinite(value)) return "–";
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

/** About three digits, whatever the size. */
function brief(value) {
  if (typeof value !== "number") return value == null ? "–" : String(value);
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (Number.isInteger(value)) return value.toLocaleString("en").replace("-", "−");
  if (size >= 1000) return Math.round(value).toLocaleString("en").replace("-", "−");
  if (size >= 0.001) return decimal(value, size >= 100 ? 1 : size >= 1 ? 2 : 3);
  return value.toExponential(1).replaceAll("-", "−");
}

/** Tells a screen reader, and whoever looks at the foot of the picture, what just happened. */
function say(text) {
  byId("status").textContent = text;
}

function download(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", { "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** Runs `draw(width)` now and whenever the width of `place` changes. */
function whenWidthChanges(place, draw) {
  let before = 0;
  const look = () => {
    const width = Math.floor(place.clientWidth);
    if (width > 0 && width !== before) draw((before = width));
  };
  look();
  new ResizeObserver(look).observe(place);
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
