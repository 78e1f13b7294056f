"""A browser, and pages of small runs to open in it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from opened import Open, Opened
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from small_runs import small_run, squares

from unbraid import runs
from unbraid.report import write_report
from unbraid.runs import Run

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REQUIRED = "UNBRAID_REQUIRE_BROWSER"  # set where a missing browser is a failure
QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
]


def chromium() -> str | None:
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        message = f"no Chromium is installed here: none of {', '.join(CHROMIUM)} is on the PATH"
        pytest.fail(message) if os.environ.get(REQUIRED) else pytest.skip(message)
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        flags = [*QUIET, "--no-sandbox"] if as_root else QUIET
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a file with a fresh profile; at the end of the test the page must have been quiet."""
    contexts: list[BrowserContext] = []
    opened: list[Opened] = []

    def open_page(file: Path | str, *, quiet: bool = True, **options: object) -> Opened:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        each = Opened(context.new_page())
        if quiet:
            opened.append(each)
        each.page.on("console", lambda message: each.complaints.append(f"{message.type}: {message.text}"))
        each.page.on("pageerror", lambda error: each.complaints.append(str(error)))
        each.page.on("dialog", lambda dialog: (each.complaints.append(dialog.message), dialog.dismiss()))
        each.page.on("request", lambda request: each.requests.append(request.url))
        each.page.goto(file if isinstance(file, str) else file.as_uri())
        return each

    yield open_page
    for each in opened:
        assert each.complaints == []
        assert [url for url in each.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Grey 16x16 squares, and a decoder in which every latent is plain to see."""
    path = tmp_path_factory.mktemp("runs") / "squares"
    small_run("beta_vae", path, model="burgess", steps=600, beta=0.3, lr=2e-3, batch_size=32, log_every=20)
    return runs.load(path, "cpu", data=squares())


@pytest.fixture(scope="session")
def page_of_squares(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report([trained.path], tmp_path_factory.mktemp("pages") / "squares.html", data=squares())
