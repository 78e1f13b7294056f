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
  if (before?.code?.length === hand.z.length) moveTo(before.code);
  if (before) scrollTo(0, before.scroll);
  const ask = async () => {
    try {
      const answer = await fetch("version");
      const version = await answer.text();
      byId("live").textContent = "live";
      if (answer.ok && version !== report.live && motion === null) {
        sessionStorage.setItem(MEMORY, JSON.stringify({ run: hand.run.name, code: [...hand.z], scroll: scrollY }));
        location.reload();
        return;
      }
    } catch {
      byId("live").textContent = "the server has stopped";
    }
    setTimeout(ask, 1000 * SECONDS_BETWEEN);
  };
  setTimeout(ask, 1000 * SECONDS_BETWEEN);
}
