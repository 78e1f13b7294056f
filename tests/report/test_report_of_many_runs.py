"""The page of a study: the table, the plot, and two models side by side."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from opened import Open, Opened
from playwright.sync_api import expect
from small_runs import small_run, squares

from unbraid import runs
from unbraid.errors import UnbraidError
from unbraid.report import datasets, write_report
from unbraid.runs import Run

BETAS = {"a": 0.3, "b": 4.0, "c": 1.0}


@pytest.fixture(scope="module")
def study(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run "a" is the trained one; the others are hardly trained."""
    folder = tmp_path_factory.mktemp("study")
    shutil.copytree(trained.path, folder / "a")
    small_run("beta_vae", folder / "b", beta=BETAS["b"], model="mlp", width=32)
    small_run("beta_vae", folder / "c", beta=BETAS["c"], model="burgess")
    return folder


@pytest.fixture
def opened(open_page: Open, study: Path, tmp_path: Path) -> Opened:
    return open_page(write_report([study], tmp_path / "study.html", data=squares())).ready()


def names(opened: Opened) -> list[str]:
    return opened.page.locator("#runs tbody th button").all_inner_texts()


def test_the_table_sorts_by_what_differs(opened: Opened) -> None:
    head = opened.page.locator("#runs thead button").all_inner_texts()
    assert head[0] == "run" and "beta" in head and "elbo" in head
    assert "objective" not in head and "seed" not in head  # which are the same for all
    opened.page.locator("#runs thead button", has_text="beta").click()
    assert names(opened) == ["b", "c", "a"]
    opened.page.locator("#runs thead button", has_text="beta").click()
    assert names(opened) == ["a", "c", "b"]
    expect(opened.page.locator("#runs th[aria-sort=ascending]")).to_have_text("beta")
    opened.page.locator("#runs thead button", has_text="elbo").click()
    assert names(opened)[0] == "a"


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_a_long_name_is_not_wider_than_the_window(open_page: Open, study: Path, tmp_path: Path, width: int) -> None:
    for name in ("a", "b"):
        shutil.copytree(study / name, tmp_path / "study" / (name * 100))
    page = write_report([tmp_path / "study"], tmp_path / "page.html", data=squares())
    opened = open_page(page, viewport={"width": width, "height": 900}).ready()
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    box = opened.page.locator("#theme").bounding_box()
    assert box["x"] + box["width"] <= width


def test_another_run_is_loaded_when_it_is_chosen(opened: Opened, study: Path) -> None:
    opened.page.locator("#runs button", has_text="c").last.click()
    expect(opened.page.locator("h1")).to_have_text("c")
    expect(opened.page.locator("#runs tr.chosen")).to_contain_text("c")
    run = runs.load(study / "c", "cpu")
    opened.set_slider(1, -2.0)
    z = run.encode(squares().images(datasets.gallery(squares())[:1]))[0][0].numpy()
    z[1] = -2.0
    assert np.abs(opened.pixels()[..., 0] - run.decode(z)[0, 0].numpy()).mean() < 1 / 255
    opened.page.select_option("#run-choice", label="a")
    expect(opened.page.locator("h1")).to_have_text("a")


def test_any_result_stands_against_any_setting(opened: Opened) -> None:
    opened.page.select_option("#scatter-x", label="beta")
    opened.page.select_option("#scatter-y", label="recon")
    points = opened.page.locator("#scatter .point")
    expect(points).to_have_count(3)
    across = {run: float(points.nth(n).get_attribute("cx")) for n, run in enumerate("abc")}
    assert across["a"] < across["c"] < across["b"]
    up = [float(points.nth(n).get_attribute("cy")) for n in range(3)]
    assert max(up) == up[0]  # the trained one has the least, and so stands lowest
    points.nth(2).dispatch_event("click")
    expect(opened.page.locator("h1")).to_have_text("c")


def scored(folder: Path, **values: float) -> None:
    metrics = {name: {"score": value, "parts": {}, "matrices": {}} for name, value in values.items()}
    (folder / runs.SCORES).write_text(json.dumps({"seed": 0, "metrics": metrics}))


def ticks(opened: Opened) -> list[str]:
    return opened.page.locator("#scatter .tick text").all_text_contents()


def shown_axes(opened: Opened) -> list[str]:
    script = "select => select.selectedOptions[0].textContent"
    return [opened.page.locator(f"#scatter-{axis}").evaluate(script) for axis in "yx"]


def test_a_score_that_one_run_has_is_not_the_plot(open_page: Open, study: Path, tmp_path: Path) -> None:
    shutil.copytree(study, tmp_path / "study")
    scored(tmp_path / "study" / "b", mig=0.01)
    opened = open_page(write_report([tmp_path / "study"], tmp_path / "page.html", data=squares())).ready()
    assert shown_axes(opened) == ["elbo", "beta"]
    opened.page.select_option("#scatter-y", label="mig")
    assert ticks(opened) == ["0.0", "0.5", "1.0"]
    box, line = (opened.page.locator(f"#scatter {each}").first.bounding_box() for each in (".point", ".tick line"))
    assert abs(box["y"] + box["height"] / 2 - line["y"]) < 6  # it stands a little above 0


def test_a_score_that_all_have_is(open_page: Open, study: Path, tmp_path: Path) -> None:
    shutil.copytree(study, tmp_path / "study")
    for n, name in enumerate("abc"):
        scored(tmp_path / "study" / name, mig=0.1 * n, unsupervised=0.5 + 0.1 * n)
    opened = open_page(write_report([tmp_path / "study"], tmp_path / "page.html", data=squares())).ready()
    assert shown_axes(opened) == ["mig", "beta"]
    assert ticks(opened)[0] == "0.00" and float(ticks(opened)[-1]) <= 0.2
    expect(opened.page.locator("#scatter .axis").last).to_have_text("mig")
    opened.page.select_option("#scatter-y", label="unsupervised")
    expect(opened.page.locator("#scatter .axis").last).to_have_text("unsupervised (lower is better)")


def test_the_table_shows_what_differs_and_the_rest_when_asked(open_page: Open, study: Path, tmp_path: Path) -> None:
    """A setting that one run has and others lack does not differ; of a long one both ends are shown."""
    shutil.copytree(study, tmp_path / "study")
    for name, path in (("a", "/data/of-mine-and-others/first.npz"), ("b", "/data/of-mine-and-others/second.npz")):
        config = tmp_path / "study" / name / runs.CONFIG
        given = config.read_text()
        assert "data: given" in given
        config.write_text(given.replace("data: given", f"data: arrays\npath: {path}"))
    opened = open_page(write_report([tmp_path / "study"], tmp_path / "page.html")).ready()
    head = opened.page.locator("#runs thead button")
    assert "width" not in head.all_inner_texts() and "path" in head.all_inner_texts()  # one net has a width
    row = opened.page.locator("#runs tbody tr", has_text="first.npz")
    expect(row.locator("td[title='/data/of-mine-and-others/first.npz']")).to_have_text("/data/o…hers/first.npz")
    opened.page.locator("#all-settings").click()
    assert {"width", "objective", "seed", "device"} <= set(head.all_inner_texts())
    opened.page.locator("#all-settings").click()
    assert "width" not in head.all_inner_texts()


def test_labels_of_a_narrow_plot_have_room(open_page: Open, study: Path, tmp_path: Path) -> None:
    for n in range(9):
        shutil.copytree(study / "c", tmp_path / "study" / str(n))
        config = tmp_path / "study" / str(n) / runs.CONFIG
        given = config.read_text()
        config.write_text(given.replace("data: given", f"data: arrays\npath: /of-mine-and-others/number-{n}.npz"))
    page = write_report([tmp_path / "study"], tmp_path / "page.html")
    opened = open_page(page, viewport={"width": 390, "height": 900}).ready()
    opened.page.select_option("#scatter-x", label="path")
    boxes = [label.bounding_box() for label in opened.page.locator("#scatter .tick-text").all()]
    assert len(boxes) >= 3
    assert all(one["x"] + one["width"] < other["x"] for one, other in itertools.pairwise(boxes))
    assert boxes[-1]["x"] + boxes[-1]["width"] <= 390


def test_the_same_image_through_two_models(opened: Opened, study: Path) -> None:
    opened.page.locator("#gallery button").nth(4).click()
    opened.page.select_option("#compare-with", label="b")
    sides = opened.page.locator(".compare-side")
    expect(sides).to_have_count(2)
    image = squares().images(datasets.gallery(squares())[4:5])
    for side, name in enumerate("ab"):
        expect(sides.nth(side).locator("h3")).to_have_text(name)
        place = f".compare-side:nth-child({side + 1}) .compare-pair figure:nth-child"
        np.testing.assert_array_equal(opened.pixels(f"{place}(1) canvas")[..., 0], image[0, 0] / 255)
        made = runs.load(study / name, "cpu").reconstruct(image)[0, 0].numpy()
        assert np.abs(opened.pixels(f"{place}(2) canvas")[..., 0] - made).mean() < 1 / 255


def test_runs_that_cannot_be_read_are_named_and_left_out(open_page: Open, study: Path, tmp_path: Path) -> None:
    shutil.copytree(study, tmp_path / "study")
    (tmp_path / "study" / "b" / runs.LOG).write_text("step\n<b>\n")
    opened = open_page(write_report([tmp_path / "study"], tmp_path / "study.html", data=squares())).ready()
    assert names(opened) == ["a", "c"]
    expect(opened.page.locator("#omitted")).to_contain_text("b: ")
    with pytest.raises(UnbraidError, match=r"log\.csv is damaged"):
        write_report([tmp_path / "study" / "b"], tmp_path / "b.html")


def test_no_accessibility_fault(open_page: Open, study: Path, tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = write_report([study], tmp_path / "study.html", data=squares())
    for theme in ("light", "dark"):
        opened = open_page(page, color_scheme=theme, bypass_csp=True).ready()
        opened.page.select_option("#compare-with", label="b")
        expect(opened.page.locator(".compare-side")).to_have_count(2)
        found = Axe().run(opened.page).response
        assert [(theme, each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []


def test_runs_of_other_sizes_leave_nothing_behind(open_page: Open, study: Path, tmp_path: Path) -> None:
    """Ten latents, then three, then a run without weights; the plane of two latents stands at the ninth and tenth."""
    shutil.copytree(study / "a", tmp_path / "study" / "three")
    small_run("beta_vae", tmp_path / "study" / "ten", model="mlp", latent_dim=10)
    runs.write_config(tmp_path / "study" / "young", runs.read_config(study / "b"))
    opened = open_page(write_report([tmp_path / "study"], tmp_path / "study.html", data=squares())).ready()
    opened.page.select_option("#run-choice", label="ten")
    expect(opened.page.locator("h1")).to_have_text("ten")
    for axis, latent in (("x", "8"), ("y", "9")):
        opened.page.select_option(f"#pad-{axis}", latent)
    opened.page.select_option("#compare-with", label="three")
    expect(opened.page.locator(".compare-side")).to_have_count(2)
    opened.page.locator("#animate").click()
    for name in ("three", "young"):
        opened.page.select_option("#run-choice", label=name)
        expect(opened.page.locator("h1")).to_have_text(name)
    expect(opened.page.locator("#untrained")).to_be_visible()
    assert not opened.pixels().any() and opened.pixels().shape[1] == 1
    expect(opened.page.locator("#animate")).to_have_attribute("aria-pressed", "false")


def test_a_code_from_the_prior_is_compared_by_its_own_picture(opened: Opened) -> None:
    opened.page.select_option("#compare-with", label="b")
    expect(opened.page.locator(".compare-side")).to_have_count(2)
    opened.page.evaluate("document.querySelector('.compare-side').dataset.old = ''")
    opened.page.locator("#random").click()
    opened.page.locator("[data-old]").wait_for(state="detached")
    opened.settled()
    shown = opened.pixels(".compare-side:nth-child(1) .compare-pair figure:nth-child(1) canvas")
    np.testing.assert_array_equal(shown, opened.pixels())


def test_sorting_keeps_the_focus(opened: Opened) -> None:
    opened.page.locator("#runs thead button", has_text="beta").focus()
    opened.page.keyboard.press("Enter")
    opened.page.keyboard.press("Enter")
    assert names(opened) == ["a", "c", "b"]


def test_a_study_of_a_hundred_opens_at_once(open_page: Open, study: Path, tmp_path: Path) -> None:
    """The first picture is there before the browser has read the nets of the other runs."""
    for n in range(100):
        (tmp_path / f"runs/{n}").mkdir(parents=True)
        for file in (runs.CONFIG, runs.FACTS, runs.WEIGHTS, runs.LOG):
            shutil.copy(study / "c" / file, tmp_path / f"runs/{n}" / file)
    opened = open_page(write_report([tmp_path / "runs"], tmp_path / "page.html"))
    opened.ready()
    assert len(names(opened)) == 100
    opened.page.locator("#runs button", has_text="99").click()
    expect(opened.page.locator("h1")).to_have_text("99")
    opened.set_slider(0, 1.0)
