// What the page carries: JSON, and bytes as base64, in script elements of a type that no browser runs.

/** The text of the block called `id`, once the browser has read that far. */
async function blockText(id) {
  if (document.readyState === "loading" && !byId(id)?.nextElementSibling)
    await new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));
  const block = byId(id);
  if (!block) throw new Error(`the page has no part called ${id}`);
  return block.textContent;
}

async function blockJson(id) {
  return JSON.parse(await blockText(id));
}

async function blockBytes(id) {
  const text = await blockText(id);
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

async function gunzip(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
