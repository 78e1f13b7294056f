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

function live(before) {
  byId("live").hidden = false;
  if (before?.run === hand.run.name && before.code.length === hand.z.length) {
    moveTo(before.code);
    choose(before.chosen);
  }
  if (before) scrollTo(0, before.scroll);
  const tellState = (text) => byId("live").textContent === text || (byId("live").textContent = text);
  const busy = () => motion !== null || document.querySelector("#hand :active");
  const ask = async () => {
    try {
      const answer = await fetch("version");
      const version = await answer.text();
      tellState("live");
      if (answer.ok && version !== report.live && !busy()) {
        const { theme } = document.documentElement.dataset;
        const place = { run: hand.run.name, code: [...hand.z], chosen: hand.chosen, scroll: scrollY, theme };
        sessionStorage.setItem(MEMORY, JSON.stringify(place));
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
