"""A folder of pictures, from files to the page: scikit-learn's 1,797 handwritten digits as PNG files beside a table.

Writes digits/ (the pictures and table.csv), trains for some seconds, and draws figures and report.html.
"""

import csv
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

import unbraid
from unbraid import evaluate, pictures
from unbraid.report import write_report

folder = Path("digits")
folder.mkdir(exist_ok=True)
digits = load_digits()
for number, pixels in enumerate(digits.images):  # [8, 8], 0 to 16
    Image.fromarray((pixels * 255 / 16).round().astype("uint8")).save(folder / f"{number:04}.png")
with (folder / "table.csv").open("w", newline="") as stream:
    rows = ((f"{number:04}.png", digit) for number, digit in enumerate(digits.target))
    csv.writer(stream).writerows([("path", "digit"), *rows])

run = unbraid.train(  # unbraid train --data digits/table.csv --size 8 --model mlp --width 256 ...
    data="digits/table.csv",
    size=8,
    model="mlp",
    width=256,
    objective="beta_vae",
    beta=1.0,
    latent_dim=6,
    steps=1500,
    lr="linear(2e-3, 0, steps=1500)",
    out="runs/digits",
)
found = pictures.finish(run)
scores = evaluate.score_run(run, ["explicitness"])
page = write_report([run.path], Path("report.html"))

print(f"likelihood {run.config.likelihood}, {found['active_latents']} of 6 latents in use")
print(f"what the codes tell of the digit: explicitness {scores['explicitness'].score:.2f} of 1")
print(f"{run.figure('traversals.png')} shows what each latent does; {page} has sliders")
