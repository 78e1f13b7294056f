// Which latent tells of which factor, and what that looks like.

function showInformation(view) {
  const { information, factors } = view;
  byId("information-section").hidden = byId("information-link").hidden = !information;
  if (!information) return;
  const head = element(
    "tr",
    {},
    element("td", {}),
    factors.map(({ name }) => element("th", { scope: "col" }, name)),
  );
  const rows = view.order.map((latent) =>
    element(
      "tr",
      { "--own": `var(--series-${latent % 10})` },
      element("th", { scope: "row" }, `z${latent}`),
      factors.map(({ name }, factor) => {
        const value = information[latent][factor];
        return element(
          "td",
          {},
          element(
            "button",
            {
              type: "button",
              class: `cell ${value > 0.76 ? "strong" : value > 0.58 ? "middling" : ""}`, // its number's colour
              ...heat(value),
              "aria-label": `z${latent} and ${name}: ${decimal(value)}`,
              onclick: () => {
                choose(latent);
                showFactor(view, latent, factor);
              },
            },
            decimal(value),
          ),
        );
      }),
    ),
  );
  fill(byId("information"), element("thead", {}, head), element("tbody", {}, rows));
  const [best] = view.order;
  const told = information[best];
  showFactor(view, best, told.indexOf(Math.max(...told)));
}

/** A value from 0 to 1 as a place between two neighbouring colours of the figures' scale. */
function heat(value) {
  const at = 3 * clamp(value, 0, 1);
  const below = Math.min(2, Math.floor(at));
  return {
    "--below": `var(--heat-${below})`,
    "--above": `var(--heat-${below + 1})`,
    "--share": `${(100 * (at - below)).toFixed(1)}%`,
  };
}

/** The images of a factor in its order, and where a latent stands at each. */
function showFactor(view, latent, factor) {
  const { name, images, codes, labels, others } = view.factors[factor];
  for (const [row, line] of [...byId("information").querySelectorAll("tbody tr")].entries()) {
    for (const [column, cell] of [...line.querySelectorAll("button")].entries()) {
      cell.setAttribute("aria-pressed", String(view.order[row] === latent && column === factor));
    }
  }
  const values = codes.map((code) => code[latent]);
  const [low, high] = [Math.min(view.range[latent][0], ...values), Math.max(view.range[latent][1], ...values)];
  const thumbs = images.map((image, n) =>
    element(
      "button",
      {
        type: "button",
        class: "thumb level",
        title: labels[n],
        "aria-label": `start from ${name} ${labels[n]}, where z${latent} is ${decimal(values[n])}`,
        onclick: () => {
          rest();
          startFrom(codes[n], image, `${name} ${labels[n]}`);
          say(`Started from ${name} ${labels[n]}.`);
        },
      },
      element(
        "span",
        { class: "level-track", "aria-hidden": "true" },
        element("span", {
          class: "level-dot",
          "--at": `${(100 * (values[n] - low)) / (high - low)}%`,
        }),
      ),
      thumbnail(image, hand.run.imageShape),
      element("small", {}, labels[n]),
    ),
  );
  fill(
    byId("factor"),
    element("h3", {}, `${name}, and where z${latent} stands`),
    element("div", { class: "levels", "--own": `var(--series-${latent % 10})`, "--count": images.length }, thumbs),
    element(
      "p",
      { class: "note" },
      `${others} The dots run from ${decimal(low, 1)} at the foot to ${decimal(high, 1)}. `,
    ),
    element("button", { type: "button", onclick: () => focusSlider(latent) }, `To the slider of z${latent}`),
  );
}
