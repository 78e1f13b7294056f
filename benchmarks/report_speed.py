"""Times the page of a run in a headless Chromium, opened from its file.

    python benchmarks/report_speed.py RUN [--out benchmarks/results]

Prints and writes: seconds to make the page, its size, seconds from opening it to the first decoded picture, and, while
a slider is dragged over its whole way with the mouse, the time from a movement to the decoded picture that shows it,
which is what a frame costs, and the time between frames, which is never below the 16.7 ms of 60 a second here.
"""

import argparse
import datetime
import shutil
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from unbraid import runs
from unbraid.files import write_json
from unbraid.processors import cores
from unbraid.report import write_report

OPENINGS, DRAG_STEPS = 5, 240

# Notes the times of frames, and of each picture with the movement that it answers.
WATCH = """() => {
    const seen = { frames: [], pictures: [], delays: [] };
    let moved = null;
    document.querySelector('#sliders').addEventListener('input', () => { moved ??= performance.now(); });
    document.querySelector('#picture').addEventListener('drawn', () => {
        seen.pictures.push(performance.now());
        if (moved !== null) seen.delays.push(performance.now() - moved);
        moved = null;
    });
    const frame = (now) => { seen.frames.push(now); requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
    window.seen = seen;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    chosen = parser.parse_args()
    config = runs.read_config(chosen.run)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        page = write_report([chosen.run], Path(folder) / "page.html")
        made = time.perf_counter() - began
        found: dict[str, Any] = {"make": made, "megabytes": page.stat().st_size / 1e6, **in_browser(page)}
    for name, value in found.items():
        print(f"{name:28}{value if isinstance(value, str) else format(value, '10.2f')}")
    name = f"{datetime.date.today().isoformat()}-{cores()}-cores-report_speed-{config.model}.json"
    write_json(chosen.out / name, {"model": config.model, **found})


def in_browser(page: Path) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome") or sys.exit("no Chromium is on the PATH")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        openings = []
        for _ in range(OPENINGS):
            tab = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            tab.goto(page.as_uri())
            tab.locator("#between-strip[data-painted]").wait_for()
            openings.append(tab.evaluate("performance.getEntriesByName('first-picture')[0].startTime"))
        box = tab.locator(".latent input").first.bounding_box()
        assert box is not None
        middle = box["y"] + box["height"] / 2
        tab.mouse.move(box["x"] + box["width"] / 2, middle)
        tab.mouse.down()
        tab.wait_for_timeout(1000)
        tab.evaluate(WATCH)
        for step in range(DRAG_STEPS):
            share = abs((step / 60) % 2 - 1)
            tab.mouse.move(box["x"] + (0.05 + 0.9 * share) * box["width"], middle)
        tab.mouse.up()
        seen = tab.evaluate("window.seen")
        version = browser.version
        browser.close()
    frames, pictures = (gaps(seen[name]) for name in ("frames", "pictures"))
    return {
        "first picture, s": statistics.median(openings) / 1000,
        "movement to picture, median ms": statistics.median(seen["delays"]),
        "movement to picture, 95th percentile ms": percentile(seen["delays"], 95),
        "between frames, median ms": statistics.median(frames),
        "between frames, 95th percentile ms": percentile(frames, 95),
        "between pictures, median ms": statistics.median(pictures),
        "Chromium": version,
    }


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


def percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100)[share - 1]


if __name__ == "__main__":
    main()
