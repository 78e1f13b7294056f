"""The page of one run, opened from a file in a real browser and used as a reader would."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from opened import Open, Opened
from PIL import Image
from playwright.sync_api import expect
from small_runs import small_run, squares

from unbraid import runs, train
from unbraid.data import from_arrays, image_files
from unbraid.report import datasets, write_report
from unbraid.runs import Run

SHADE = 1 / 255
GALLERY = datasets.gallery(squares())


@pytest.fixture
def opened(open_page: Open, page_of_squares: Path) -> Opened:
    return open_page(page_of_squares).ready()


def original(n: int) -> np.ndarray:
    """uint8 [1, H, W]: the image behind button `n` of the gallery."""
    return squares().images(GALLERY[n : n + 1])[0]


def code(run: Run, image: np.ndarray) -> np.ndarray:
    return run.encode(image)[0][0].numpy()


def decoded(run: Run, z: np.ndarray) -> np.ndarray:
    """[H, W, 3], as a canvas holds it."""
    return np.broadcast_to(run.decode(z)[0].numpy().transpose(1, 2, 0), (*run.model.image_shape[1:], 3))


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())


def test_it_opens_alone(opened: Opened, trained: Run, page_of_squares: Path) -> None:
    """Its network and console are checked by the fixture, at the end of each test."""
    assert opened.page.url == page_of_squares.as_uri()
    assert opened.page.title() == "squares · unbraid"
    assert apart(opened.pixels(), decoded(trained, code(trained, original(0)))) < SHADE
    np.testing.assert_array_equal(opened.pixels("#original")[..., 0], original(0)[0] / 255)


@pytest.mark.parametrize("latent", range(3))
def test_a_slider_draws_what_pytorch_decodes(opened: Opened, trained: Run, latent: int) -> None:
    z = code(trained, original(0))
    seen = []
    for value in (-2.5, 0.0, 1.37):
        opened.set_slider(latent, value)
        z[latent] = value
        seen.append(opened.pixels())
        assert apart(seen[-1], decoded(trained, z)) < SHADE
    assert apart(seen[0], seen[2]) > 5 * SHADE  # it is not that nothing moves


def test_sliders_are_in_order_of_use_and_say_what_they_do(opened: Opened, trained: Run) -> None:
    logvar = trained.encode(squares().images(np.arange(72)))[1].double().numpy()
    variance = np.exp(logvar).mean(0)
    rows = opened.page.locator(".latent")
    latents = [int(row.get_attribute("data-latent")) for row in rows.all()]
    assert latents == np.argsort(variance).tolist()
    labels = [opened.page.locator(f"#slider-{latent}").get_attribute("aria-label") for latent in latents]
    for latent, label, row in zip(latents, labels, rows.all(), strict=True):
        assert f"posterior variance {variance[latent]:.4f}" in label and "KL " in label
        follows = row.locator(".follows")  # which latent follows a factor hangs on the processor's rounding
        assert (f"follows {follows.inner_text()}" in label) if follows.count() else ("follows" not in label)
    assert any("follows" in label for label in labels)


def test_the_gallery_starts_from_another_image(opened: Opened, trained: Run) -> None:
    opened.page.locator("#gallery button").nth(5).click()
    opened.settled()
    assert apart(opened.pixels(), decoded(trained, code(trained, original(5)))) < SHADE
    np.testing.assert_array_equal(opened.pixels("#original")[..., 0], original(5)[0] / 255)
    assert opened.page.locator("#gallery [aria-pressed=true]").count() == 1


def png(image: np.ndarray, factor: int = 1) -> bytes:
    """[C, H, W] uint8 as a file, each pixel `factor` pixels wide and high."""
    stream = io.BytesIO()
    pixels = image.repeat(factor, axis=1).repeat(factor, axis=2).transpose(1, 2, 0)
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("factor", [1, 4])
def test_a_file_is_encoded_in_the_page(opened: Opened, trained: Run, factor: int) -> None:
    image = squares().images(np.array([40]))[0]
    file = {"name": "mine.png", "mimeType": "image/png", "buffer": png(image, factor)}
    opened.page.set_input_files("#file", file)
    expect(opened.page.locator("#status")).to_have_text("Encoded mine.png.")
    opened.settled()
    assert apart(opened.pixels(), decoded(trained, code(trained, image))) < SHADE
    assert apart(opened.pixels("#original")[..., 0], image[0] / 255) < 0.02
    opened.set_slider(0, 2.0)
    opened.page.locator("#reset").click()
    opened.settled()
    assert apart(opened.pixels(), decoded(trained, code(trained, image))) < SHADE


def test_a_dropped_file_is_too(opened: Opened, trained: Run) -> None:
    image = squares().images(np.array([33]))[0]
    opened.page.evaluate(
        """bytes => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([new Uint8Array(bytes)], 'dropped.png', { type: 'image/png' }));
            document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        list(png(image)),
    )
    expect(opened.page.locator("#status")).to_have_text("Encoded dropped.png.")
    opened.settled()
    assert apart(opened.pixels(), decoded(trained, code(trained, image))) < SHADE


@pytest.mark.parametrize("crop", ["centre", "pad"])
def test_a_file_is_read_as_training_reads_it(open_page: Open, tmp_path: Path, crop: str) -> None:
    """What is transparent shows white, and the picture is cut as those of the run were."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 64, 4), np.uint8).repeat(4, 1).repeat(4, 2)
    pixels[:, :60, :, 3] = 0
    for n, each in enumerate(pixels):
        Image.fromarray(each).save(pictures / f"{n}.png")
    options = {"size": 16, "crop": crop, "colour": "rgb", "model": "mlp", "width": 32, "steps": 2, "batch_size": 2}
    train(data=str(pictures), out=tmp_path / "run", show_progress=False, **options)
    opened = open_page(write_report([tmp_path / "run"], tmp_path / "page.html")).ready()
    opened.page.set_input_files("#file", pictures / "0.png")
    expect(opened.page.locator("#status")).to_have_text("Encoded 0.png.")
    image = image_files.read(pictures / "0.png", size=16, crop=crop, channels=3).transpose(1, 2, 0) / 255
    assert apart(opened.pixels("#original"), image) < 0.03  # by another filter


def test_a_slider_reaches_a_code_beyond_those_of_the_data(open_page: Open, page_of_squares: Path, trained: Run) -> None:
    opened = open_page(page_of_squares, permissions=["clipboard-read", "clipboard-write"]).ready()
    sliders = opened.page.locator(".latent input")
    ends = [float(slider.get_attribute("max")) for slider in sliders.all()]
    opened.page.evaluate("Math.random = () => 0.99999")  # the prior's draw is 4.8 in each latent
    opened.page.locator("#random").click()
    opened.settled()
    assert opened.code() == pytest.approx(4.8, abs=0.01)
    assert all(
        float(slider.get_attribute("max")) == max(5, end) for slider, end in zip(sliders.all(), ends, strict=True)
    )
    assert apart(opened.pixels(), decoded(trained, np.full(3, 4.7985))) < SHADE
    opened.page.locator("#copy").click()
    expect(opened.page.locator("#status")).to_contain_text("clipboard")
    assert json.loads(opened.page.evaluate("navigator.clipboard.readText()")) == pytest.approx([4.7985] * 3, abs=1e-3)
    chosen = int(opened.page.locator(".latent.chosen").get_attribute("data-latent"))
    opened.page.keyboard.press("ArrowLeft")
    assert opened.code()[chosen] == pytest.approx(4.7, abs=0.011)
    opened.page.locator("#gallery button").nth(2).click()
    assert [float(slider.get_attribute("max")) for slider in sliders.all()] == ends


def test_what_is_no_image_is_refused_with_a_sentence(opened: Opened) -> None:
    before = opened.pixels()
    file = {"name": "<b>notes</b>.txt", "mimeType": "text/plain", "buffer": b"not an image"}
    opened.page.set_input_files("#file", file)
    expect(opened.page.locator("#status")).to_contain_text("<b>notes</b>.txt could not be read as an image")
    assert apart(opened.pixels(), before) == 0


def test_arrows_move_the_chosen_slider(opened: Opened) -> None:
    first = int(opened.page.locator(".latent").first.get_attribute("data-latent"))
    before = opened.code()
    opened.page.keyboard.press("ArrowRight")  # nothing has the focus: the first latent is chosen
    assert opened.code()[first] == pytest.approx(before[first] + 0.1, abs=0.011)
    opened.page.locator("#slider-1").focus()
    expect(opened.page.locator(".latent.chosen")).to_have_attribute("data-latent", "1")
    at = opened.code()
    for _ in range(3):
        opened.page.keyboard.press("ArrowLeft")
    after = opened.code()
    assert after[1] == pytest.approx(at[1] - 0.03, abs=1e-6)
    assert np.delete(after, 1) == pytest.approx(np.delete(at, 1))
    assert float(opened.page.locator("#slider-1").get_attribute("aria-valuetext").replace("−", "-")) == after[1]


def test_arrows_work_after_a_button_was_pressed(opened: Opened) -> None:
    opened.page.locator("#gallery button").nth(2).click()
    first = int(opened.page.locator(".latent").first.get_attribute("data-latent"))
    before = opened.code()
    opened.page.keyboard.press("ArrowRight")
    assert opened.code()[first] == pytest.approx(before[first] + 0.1, abs=0.011)


def test_random_draws_from_the_prior_and_reset_goes_back(opened: Opened, trained: Run) -> None:
    drawn = []
    for _ in range(60):
        opened.page.locator("#random").click()
        drawn.append(opened.code())
    values = np.ravel(drawn)
    assert abs(values.mean()) < 4 / np.sqrt(180) and 0.75 < values.std() < 1.25  # of 180 draws from N(0, 1)
    opened.settled()
    shown = opened.pixels()
    opened.set_slider(0, 2.9)
    opened.page.locator("#reset").click()
    opened.settled()
    assert apart(opened.pixels(), shown) == 0


def test_animate_moves_one_latent_until_told(opened: Opened) -> None:
    opened.page.locator("#slider-2").focus()
    button = opened.page.locator("#animate")
    expect(button).to_have_text("Animate z2")
    begin = opened.code()
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    opened.page.locator("#slider-1").focus()  # which is not the one that moves
    expect(button).to_have_text("Stop z2")
    opened.page.wait_for_timeout(400)
    opened.page.locator("#animate").click()
    expect(button).to_have_attribute("aria-pressed", "false")
    end = opened.code()
    assert abs(end[2] - begin[2]) > 0.1 and end[:2] == pytest.approx(begin[:2])
    opened.page.wait_for_timeout(200)
    assert opened.code() == pytest.approx(end)


def test_the_code_is_copied(open_page: Open, page_of_squares: Path, trained: Run) -> None:
    opened = open_page(page_of_squares, permissions=["clipboard-read", "clipboard-write"]).ready()
    opened.page.locator("#copy").click()
    expect(opened.page.locator("#status")).to_contain_text("clipboard")
    copied = json.loads(opened.page.evaluate("navigator.clipboard.readText()"))
    assert copied == pytest.approx(code(trained, original(0)), abs=1e-3)  # its encoder has weights of 16 bits


def test_the_picture_is_saved(opened: Opened) -> None:
    with opened.page.expect_download() as download:
        opened.page.locator("#save-png").click()
    saved = np.array(Image.open(io.BytesIO(download.value.path().read_bytes())).convert("RGB")) / 255
    assert saved.shape == (512, 512, 3)
    np.testing.assert_array_equal(saved, opened.pixels().repeat(32, axis=0).repeat(32, axis=1))


def test_the_sweep_of_a_latent_is_saved_as_a_gif(opened: Opened, trained: Run) -> None:
    opened.page.locator("#slider-1").focus()
    with opened.page.expect_download() as download:
        opened.page.locator("#save-gif").click()
    assert download.value.suggested_filename == "unbraid-z1.gif"
    saved = Image.open(io.BytesIO(download.value.path().read_bytes()))
    assert saved.n_frames == 40 and saved.info["loop"] == 0 and saved.info["duration"] == 50
    z = code(trained, original(0))
    end = float(opened.page.locator("#slider-1").get_attribute("max"))
    for frame, value in ((0, -end), (20, end), (10, 0.0)):
        saved.seek(frame)
        z[1] = value
        shown = np.array(saved.convert("RGB"))[8::16, 8::16] / 255
        assert apart(shown, decoded(trained, z)) < SHADE


def test_the_pad_moves_two_latents(opened: Opened, trained: Run) -> None:
    across, up = (int(opened.page.locator(f"#pad-{axis}").input_value()) for axis in "xy")
    box = opened.page.locator("#pad").bounding_box()
    opened.page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 0.25 * box["height"])
    z = opened.code()
    ends = [float(opened.page.locator(f"#slider-{latent}").get_attribute("max")) for latent in (across, up)]
    assert z[[across, up]] == pytest.approx([end / 2 for end in ends], abs=0.05)
    opened.settled()
    exact = code(trained, original(0))
    exact[[across, up]] = z[[across, up]]
    assert apart(opened.pixels(), decoded(trained, exact)) < SHADE
    opened.page.keyboard.press("ArrowDown")
    assert opened.code()[up] == pytest.approx(z[up] - 0.1, abs=0.011)
    said = opened.page.locator("#pad").get_attribute("aria-valuetext")
    assert said.startswith(f"z{across} ") and said.endswith(f"z{up} {opened.code()[up]:.2f}")


def test_the_pad_has_two_different_latents(opened: Opened) -> None:
    across, up = (opened.page.locator(f"#pad-{axis}") for axis in "xy")
    before = across.input_value(), up.input_value()
    across.select_option(before[1])
    assert (across.input_value(), up.input_value()) == before[::-1]


def test_between_two_images_lie_the_codes_between_them(opened: Opened, trained: Run) -> None:
    opened.page.locator("#gallery button").nth(3).click()
    opened.page.locator("#between-a").click()
    opened.page.locator("#gallery button").nth(7).click()
    opened.page.locator("#between-b").click()
    share = opened.page.locator("#between-share")
    share.fill("0.25")
    assert share.get_attribute("aria-valuetext") == "25 % of the way"
    assert share.evaluate("slider => slider.style.getPropertyValue('--share')") == "0.25"
    opened.settled()
    a, b = code(trained, original(3)), code(trained, original(7))
    assert apart(opened.pixels(), decoded(trained, a + 0.25 * (b - a))) < SHADE
    ends = opened.page.locator("#between-strip button")
    ends.last.click()
    opened.settled()
    assert apart(opened.pixels(), decoded(trained, b)) < SHADE


def test_originals_stand_above_their_reconstructions(opened: Opened, trained: Run) -> None:
    pairs = opened.page.locator("#reconstructions .pair")
    assert pairs.count() == 12
    above, below = (opened.pixels(f"#reconstructions .pair:nth-child(3) canvas:nth-child({n})") for n in (1, 2))
    np.testing.assert_array_equal(above[..., 0], original(2)[0] / 255)
    assert apart(below, decoded(trained, code(trained, original(2)))) < SHADE


def test_a_cell_of_the_heat_map_shows_its_factor_and_chooses_its_latent(opened: Opened) -> None:
    cell = opened.page.locator("#information button[aria-label^='z2 and y']")
    cell.click()
    expect(opened.page.locator(".latent.chosen")).to_have_attribute("data-latent", "2")
    expect(cell).to_have_attribute("aria-pressed", "true")
    levels = opened.page.locator("#factor .level")
    assert levels.count() == 6  # values of y
    for y in range(6):
        shown = opened.pixels(f"#factor .level:nth-child({y + 1}) canvas")
        expected = squares().images(squares().indices(np.array([[1, 3, y]])))[0, 0] / 255
        np.testing.assert_array_equal(shown[..., 0], expected)
    levels.nth(5).click()
    opened.settled()
    np.testing.assert_array_equal(opened.pixels("#original")[..., 0], expected)


def test_curves_tell_their_values(opened: Opened, trained: Run) -> None:
    readings = opened.page.locator("#curve-recon .readings")
    expect(readings).to_contain_text("step 600")
    expect(readings).to_contain_text(f"{trained.log['recon'][-1]:.3g}"[:3])
    opened.page.locator("#curve-recon svg").focus()
    opened.page.keyboard.press("Home")
    expect(readings).to_contain_text("step 20")
    expect(readings).to_contain_text(f"{trained.log['recon'][0]:.3g}"[:3])
    assert opened.page.locator("#curve-kl .line").count() == 3


def test_a_log_of_one_row_has_all_its_curves(open_page: Open, tmp_path: Path) -> None:
    small_run("beta_vae", tmp_path / "run", log_every=40)
    opened = open_page(write_report([tmp_path / "run"], tmp_path / "page.html", data=squares())).ready()
    expect(opened.page.locator("#curve-choice")).to_have_value("elbo")
    expect(opened.page.locator("#curve-other .readings")).to_contain_text("step 40")
    ticks = opened.page.locator("#curve-other .tick text").all_text_contents()
    assert len(set(ticks)) == len(ticks) > 1


def test_a_score_of_which_less_is_better_is_on_no_line(open_page: Open, trained: Run, tmp_path: Path) -> None:
    shutil.copytree(trained.path, tmp_path / "run")
    scores = {
        name: {"score": 0.675, "parts": {}, "matrices": {}}
        for name in ("mig", "unsupervised", "reconstruction", "kl", "mine")
    }
    (tmp_path / "run" / runs.SCORES).write_text(json.dumps({"seed": 0, "metrics": scores}))
    opened = open_page(write_report([tmp_path / "run"], tmp_path / "page.html", data=squares())).ready()
    rows = opened.page.locator("#scores tbody tr").all()
    assert [row.locator(".strip").count() for row in rows] == [1, 0, 0, 0, 1]
    assert ["lower is better" in row.inner_text() for row in rows] == [False, True, True, False, False]
    expect(opened.page.locator("#scores thead")).not_to_contain_text("published")  # there are none of squares


@pytest.mark.parametrize("closed", [1, 2])
def test_latents_in_no_use_are_one_or_many(open_page: Open, trained: Run, tmp_path: Path, closed: int) -> None:
    shutil.copytree(trained.path, tmp_path / "run")
    tensors, metadata = runs.load_tensors(tmp_path / "run" / runs.WEIGHTS)
    (last,) = (name for name, each in tensors.items() if "encoder" in name and each.ndim == 2 and len(each) == 6)
    tensors[last][:closed] = 0  # means come first, variances then
    runs.save_tensors(tmp_path / "run" / runs.WEIGHTS, tensors, metadata)
    opened = open_page(write_report([tmp_path / "run"], tmp_path / "page.html", data=squares())).ready()
    idle = opened.page.locator(".unused")
    idle.locator("summary").click()
    said = {1: "It hardly depends on the image.", 2: "They hardly depend on the image."}[closed]
    expect(idle.locator(".note")).to_have_text(said)


def test_settings_and_versions_stand_on_the_page(opened: Opened, trained: Run) -> None:
    names, values = (opened.page.locator(f"#settings {tag}").all_inner_texts() for tag in ("dt", "dd"))
    shown = dict(zip(names, values, strict=True))
    assert shown.keys() == trained.config.flat().keys()
    assert shown["objective"] == "beta_vae" and float(shown["lr"]) == trained.config.lr
    assert trained.facts["torch"] in opened.page.locator("#facts").inner_text()
    assert opened.page.locator("#config").text_content() == trained.config.to_yaml()


def test_the_theme_follows_the_system_until_one_is_chosen(open_page: Open, page_of_squares: Path) -> None:
    opened = open_page(page_of_squares, color_scheme="dark").ready()
    ground = "getComputedStyle(document.body).backgroundColor"
    assert opened.page.evaluate(ground) == "rgb(22, 22, 22)"
    opened.page.locator("#theme").click()
    assert opened.page.evaluate(ground) == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_nothing_is_wider_than_the_window(open_page: Open, page_of_squares: Path, width: int) -> None:
    opened = open_page(page_of_squares, viewport={"width": width, "height": 900}).ready()
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    assert opened.page.locator("#slider-0").bounding_box()["width"] > 150
    opened.page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
    wide = "all => all.filter(each => each.scrollWidth > each.clientWidth).map(each => each.textContent)"
    assert opened.page.locator("dt, dd, pre").evaluate_all(wide) == []


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_jumps_while_it_comes_to_life(open_page: Open, page_of_squares: Path, width: int) -> None:
    opened = open_page(page_of_squares, viewport={"width": width, "height": 900}).ready()
    opened.set_slider(0, 1.0)
    shifts = """new Promise(done => {
        const found = [];
        const note = list => found.push(...list.getEntries().map(entry => entry.value));
        new PerformanceObserver(note).observe({ type: 'layout-shift', buffered: true });
        setTimeout(() => done(found), 500);
    })"""
    assert sum(opened.page.evaluate(shifts)) < 0.02
    opened.page.evaluate("document.querySelector('h1').style.marginTop = '200px'")
    assert sum(opened.page.evaluate(shifts)) > 0.02  # it does see a jump


def test_no_accessibility_fault(open_page: Open, page_of_squares: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    for theme in ("light", "dark"):
        opened = open_page(page_of_squares, color_scheme=theme, bypass_csp=True).ready()
        opened.page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
        found = Axe().run(opened.page).response
        assert len(found["passes"]) > 20  # it did look
        assert [
            (theme, each["id"], each["impact"], node["html"][:200], node["failureSummary"])
            for each in found["violations"]
            for node in each["nodes"]
        ] == []


def test_names_and_settings_are_text_and_never_markup(open_page: Open, trained: Run, tmp_path: Path) -> None:
    name = "<script>document.title='x'<!--<img src=x onerror=alert(1)>"
    shutil.copytree(trained.path, tmp_path / name)
    facts = json.loads((tmp_path / name / runs.FACTS).read_text())
    hostile = {"device_name": "</script><script>alert(2)</script>", "torch": {"a": "<b>"}, "step": "<i>"}
    (tmp_path / name / runs.FACTS).write_text(json.dumps({**facts, **hostile}))
    scores = {"<u>mig</u>": {"score": 0.5, "parts": {"<s>": 0.1}, "matrices": {}}}
    (tmp_path / name / runs.SCORES).write_text(json.dumps({"seed": 0, "metrics": scores}))
    opened = open_page(write_report([tmp_path / name], tmp_path / "page.html", data=squares())).ready()
    assert opened.page.locator("h1").inner_text() == name
    assert hostile["device_name"] in opened.page.locator("#facts").inner_text()
    assert "<u>mig</u>" in opened.page.locator("#scores").inner_text()
    assert opened.page.locator("main script, main img, main b b, #scores u, #facts i").count() == 0
    kinds = "Array.from(document.querySelectorAll('script:not([type])'), each => each.textContent.slice(0, 12))"
    assert opened.page.evaluate(kinds) == ['(() => {\n"us']


def test_pictures_in_colour_without_factors(open_page: Open, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = np.zeros((60, 3, 32, 32), np.uint8)
    images[:] = rng.integers(0, 256, (60, 3, 1, 1))
    data = from_arrays(images)
    small_run("beta_vae", tmp_path / "colours", data, model="burgess", steps=80, lr=2e-3)
    run = runs.load(tmp_path / "colours", "cpu", data=data)
    opened = open_page(write_report([run.path], tmp_path / "page.html", data=data)).ready()
    first = images[datasets.gallery(data)[0]]
    np.testing.assert_allclose(opened.pixels("#original"), first.transpose(1, 2, 0) / 255)
    assert apart(opened.pixels(), run.reconstruct(first)[0].numpy().transpose(1, 2, 0)) < SHADE
    assert not opened.page.locator("#information-section").is_visible()
    with opened.page.expect_download() as download:
        opened.page.locator("#save-gif").click()
    saved = Image.open(io.BytesIO(download.value.path().read_bytes()))
    z = code(run, first)
    latent = int(opened.page.locator(".latent.chosen").get_attribute("data-latent"))
    z[latent] = float(opened.page.locator(f"#slider-{latent}").get_attribute("min"))
    shown = np.array(saved.convert("RGB"))[4::8, 4::8] / 255
    assert apart(shown, run.decode(z)[0].numpy().transpose(1, 2, 0)) < 0.02  # of 256 colours for 40 pictures


def test_a_run_whose_data_cannot_be_had_can_still_be_moved(open_page: Open, trained: Run, tmp_path: Path) -> None:
    opened = open_page(write_report([trained.path], tmp_path / "page.html"))
    opened.ready()
    assert opened.code() == pytest.approx([0, 0, 0])
    assert not opened.page.locator("#gallery").is_visible()
    opened.set_slider(1, 2.0)
    assert apart(opened.pixels(), decoded(trained, np.array([0, 2.0, 0]))) < SHADE


def test_a_run_before_its_first_checkpoint_says_so(open_page: Open, trained: Run, tmp_path: Path) -> None:
    runs.write_config(tmp_path / "young", trained.config)
    opened = open_page(write_report([tmp_path / "young"], tmp_path / "page.html", data=squares()))
    expect(opened.page.locator("#untrained")).to_be_visible()
    expect(opened.page.locator("h1")).to_have_text("young")
