// `unbraid report --serve`: the page asks now and then whether there is anything new, and comes back where it was.

const SECONDS_BETWEEN = 3;
const MEMORY = "unbraid-live";

function recalled() {
  try {
    const found = JSON.parse(sessionStorage.getItem(MEMORY));
    sessionStorage.removeItem(MEMORY);
    return found;
  } catch {
    return null;
  }
}

const CHOICES = ["scatter-x", "scatter-y", "compare-with", "pad-x", "pad-y"];

/** Where the reader is, in words that still hold when runs, columns and codes have changed. */
function place() {
  const { run, start } = hand;
  return {
    run: run.name,
    gallery: run.view.gallery.findIndex(({ image }) => image === start.image),
    code: [...hand.z],
    moved: Array.from(hand.z, (value, n) => value - start.code[n]),
    chosen: hand.chosen,
    table: { ...table },
    choices: CHOICES.map((id) => byId(id).selectedOptions[0]?.textContent),
    focus: document.activeElement?.id,
    scroll: scrollY,
    theme: document.documentElement.dataset.theme,
  };
}

function comeBack(before) {
  const { view } = hand.run;
  Object.assign(table, before.table);
  showRuns();
  for (const [n, id] of CHOICES.entries()) {
    const option = [...byId(id).options].find(({ textContent }) => textContent === before.choices[n]);
    if (!option || option.selected) continue;
    byId(id).value = option.value;
    byId(id).dispatchEvent(new Event("change"));
  }
  if (before.run === hand.run.name && before.code.length === hand.z.length) {
    const first = view.gallery[before.gallery];
    if (first) startFrom(first.code, first.image, `image ${before.gallery + 1}`); // which the net now codes anew
    moveTo(first ? first.code.map((value, n) => value + before.moved[n]) : before.code);
    choose(before.chosen);
  }
  byId(before.focus)?.focus({ preventScroll: true });
  scrollTo(0, before.scroll);
}

function live(before) {
  byId("live").hidden = false;
  if (before) comeBack(before);
  const tellState = (text) => byId("live").textContent === text || (byId("live").textContent = text);
  const busy = () => motion !== null || document.querySelector("#hand :active");
  const ask = async () => {
    try {
      const answer = await fetch("version");
      const version = await answer.text();
      tellState("live");
      if (answer.ok && version !== report.live && !busy()) {
        sessionStorage.setItem(MEMORY, JSON.stringify(place()));
        location.reload();
        return;
      }
    } catch {
      tellState("the server has stopped");
    }
    setTimeout(ask, 1000 * SECONDS_BETWEEN);
  };
  setTimeout(ask, 1000 * SECONDS_BETWEEN);
}
