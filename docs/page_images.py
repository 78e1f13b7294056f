"""Makes the pictures of the report page in docs/images from the page itself, in a headless Chromium.

    python docs/page_images.py RUN STUDY

page.gif and page-*.png come from the page of RUN, page-study.png from the page of all runs in STUDY.
"""

import io
import math
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, FloatRect, Page, sync_playwright

from unbraid.report import write_report

IMAGES = Path(__file__).parent / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
SWEEP = 24  # frames of one movement
FRAME = 70  # milliseconds
COLOURS = 96
MARGIN = 16
GIF_WIDTH = 760

SET = """([latent, value]) => new Promise(done => {
    document.querySelector('#picture').addEventListener('drawn', () => requestAnimationFrame(done), { once: true });
    const slider = document.querySelector(`#slider-${latent}`);
    slider.dispatchEvent(new PointerEvent('pointerdown'));
    slider.value = value;
    slider.dispatchEvent(new Event('input', { bubbles: true }));
})"""


def main(run: str, study: str) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or sys.exit("no Chromium is on the PATH")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        one = write_report([Path(run)], Path(folder) / "one.html")
        for name, width, height, theme in (
            ("page-light", 1280, 1620, "light"),
            ("page-dark", 1280, 1620, "dark"),
            ("page-phone", 390, 844, "light"),
        ):
            page = opened(browser, one, width, height, theme)
            page.screenshot(path=IMAGES / f"{name}.png")
        many = opened(browser, write_report([Path(study)], Path(folder) / "many.html"), 1280, 900, "light")
        many.locator("#compare-with").select_option(index=2)
        many.locator(".compare-side").nth(1).wait_for()
        many.locator("#runs thead button", has_text="elbo").click()
        many.locator("#scatter-x").select_option(label="beta")
        many.evaluate("scrollTo(0, 0)")
        many.screenshot(path=IMAGES / "page-study.png", full_page=True, clip=around(many, "#runs-section"))
        animate(opened(browser, one, 1120, 900, "light"), IMAGES / "page.gif")
        browser.close()


def opened(browser: Browser, file: Path, width: int, height: int, theme: str) -> Page:
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(file.as_uri())
    page.locator("#between-strip[data-painted]").wait_for()
    page.wait_for_timeout(1000)  # the plane of two latents
    return page


def around(page: Page, selector: str) -> FloatRect:
    box = page.locator(selector).bounding_box()
    assert box is not None
    return {
        "x": box["x"] - MARGIN,
        "y": box["y"] - MARGIN,
        "width": box["width"] + 2 * MARGIN,
        "height": box["height"] + 2 * MARGIN,
    }


def animate(page: Page, file: Path) -> None:
    """The most used latents, one after another, each to both ends and back."""
    clip = around(page, "#hand")
    frames = []
    for latent, value in movements(page):
        page.evaluate(SET, [latent, value])
        frames.append(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB"))
    size = (GIF_WIDTH, round(GIF_WIDTH * frames[0].height / frames[0].width))
    small = [frame.resize(size, Image.Resampling.LANCZOS) for frame in frames]
    palette = small[0].quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE)  # a few bright dots keep their colours
    first, *rest = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in small)
    first.save(file, save_all=True, append_images=rest, duration=FRAME, loop=0, optimize=True)


def movements(page: Page) -> Iterator[tuple[int, float]]:
    """(latent, value): from where it stands up to 1.6, down to -1.6 and back."""
    for row in page.locator("#sliders > .latent").all()[:4]:
        latent = int(row.get_attribute("data-latent") or 0)
        begin = float(row.locator("input").input_value())
        for n in range(SWEEP + 1):
            yield latent, begin + 1.6 * math.sin(2 * math.pi * n / SWEEP)


if __name__ == "__main__":
    main(*sys.argv[1:])
