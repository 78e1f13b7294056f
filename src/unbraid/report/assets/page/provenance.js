// What made this model: settings, versions, and the commands that make it again.

function showProvenance(view) {
  const { facts, config, commands } = view;
  const settings = Object.entries(hand.run.settings);
  fill(
    byId("settings"),
    settings.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, String(value)))),
  );
  fill(
    byId("facts"),
    facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, String(value)))),
  );
  fill(byId("config"), config);
  fill(byId("commands"), commands);
}
