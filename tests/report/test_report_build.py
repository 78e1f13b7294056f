"""The file itself: what it is made of, how large it is, and what is refused."""

import base64
import gzip
import hashlib
import importlib.util
import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from small_runs import small_run, squares

from unbraid import runs
from unbraid.data import from_arrays, load
from unbraid.errors import UnbraidError
from unbraid.metrics import Result
from unbraid.report import build, datasets, find_runs, write_report
from unbraid.report.page import SCRIPTS, json_block

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "src" / "unbraid" / "report" / "assets" / "page"
WASM = ROOT / "src" / "unbraid" / "report" / "assets" / "onnxruntime-web" / "ort-wasm-simd-threaded.wasm.gz"


@pytest.fixture(scope="module")
def burgess(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published net at its published size, hardly trained."""
    images = np.random.default_rng(0).integers(0, 256, (40, 64, 64), np.uint8)
    path = tmp_path_factory.mktemp("runs") / "burgess"
    small_run("beta_vae", path, from_arrays(images), model="burgess", latent_dim=10, steps=2)
    return path


def blocks(page: str) -> dict[str, str]:
    return dict(re.findall(r'<script type="application/[\w-]+" id="([\w-]+)">(.*?)</script>', page))


def test_one_burgess_run_is_below_8_mb(burgess: Path, tmp_path: Path) -> None:
    page = write_report([burgess], tmp_path / "page.html")
    assert 4e6 < page.stat().st_size < 8e6


def test_nothing_in_the_page_is_loaded_from_elsewhere(burgess: Path) -> None:
    page = build({"burgess": burgess})
    markup = re.sub(r"<script.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)
    assert not re.search(r'(src|action)=|href="(?!#)', markup)
    assert "Permission is hereby granted" in markup  # onnxruntime's licence goes where it goes
    assert "default-src 'none'" in markup and "unsafe-inline" not in markup and "connect-src" not in markup


def test_the_policy_names_the_script_and_the_style(burgess: Path) -> None:
    page = build({"burgess": burgess})
    for tag in ("script", "style"):
        (source,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in page


def test_weights_take_two_bytes_each_where_that_hardly_shows(burgess: Path) -> None:
    found = blocks(build({"burgess": burgess}))
    decoder = onnx.load_from_string(base64.b64decode(found["run-0-decoder"]))
    kinds = {each.data_type for each in decoder.graph.initializer if np.prod(each.dims) >= 256}
    assert kinds == {onnx.TensorProto.FLOAT16}


def test_and_four_where_it_would_show(burgess: Path, tmp_path: Path) -> None:
    """Weights so large that in two bytes they are infinite, and small ones that bring them back."""
    folder = tmp_path / "large"
    shutil.copytree(burgess, folder)
    tensors, metadata = runs.load_tensors(folder / runs.WEIGHTS)
    tensors["model.decoder.0.weight"] *= 1e7
    tensors["model.decoder.2.weight"] *= 1e-7
    runs.save_tensors(folder / runs.WEIGHTS, tensors, metadata)
    found = blocks(build({"large": folder}))
    kinds = {
        half: {
            each.data_type for each in onnx.load_from_string(base64.b64decode(found[f"run-0-{half}"])).graph.initializer
        }
        for half in ("encoder", "decoder")
    }
    assert kinds["decoder"] == {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}
    assert onnx.TensorProto.FLOAT16 in kinds["encoder"]


def test_runs_on_the_same_data_carry_it_once(burgess: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        shutil.copytree(burgess, tmp_path / name)
    data = from_arrays(np.zeros((5, 64, 64), np.uint8))
    found = blocks(build(find_runs([tmp_path]), data=data))
    assert sorted(name for name in found if name.startswith("data")) == ["data-0"]
    assert [name for name in found if name.endswith("decoder")] == ["run-0-decoder", "run-1-decoder", "run-2-decoder"]
    assert list(found)[:6] == ["report", "data-0", "run-0", "run-0-encoder", "run-0-decoder", "wasm"]


def test_the_same_runs_make_the_same_page(burgess: Path) -> None:
    assert build({"burgess": burgess}) == build({"burgess": burgess})


def test_data_cannot_end_their_block() -> None:
    text = "</script><script>alert(1)</script><!-- &lt; \u2028"
    block = json_block("x", {"<": text})
    assert block.count("<") == 2
    assert json.loads(blocks(block)["x"]) == {"<": text}


def test_names_are_the_shortest_that_differ(burgess: Path, tmp_path: Path) -> None:
    for name in ("one/a", "one/b", "two/a"):
        shutil.copytree(burgess, tmp_path / name)
    assert list(find_runs([tmp_path / "one"])) == ["a", "b"]
    assert list(find_runs([tmp_path])) == ["one/a", "one/b", "two/a"]
    assert list(find_runs([tmp_path / "one" / "a", tmp_path / "one"])) == ["a", "b"]  # none twice


def test_what_a_study_set_aside_is_not_on_its_page(burgess: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "set-aside/a-1"):
        shutil.copytree(burgess, tmp_path / "study" / name)
    assert list(find_runs([tmp_path])) == list(find_runs([tmp_path / "study"])) == ["a", "b"]
    aside = tmp_path / "study" / "set-aside"
    assert list(find_runs([aside])) == list(find_runs([aside / "a-1"])) == ["a-1"]  # where it is asked for


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnbraidError, match=r"is not a run folder, and there is none in it: it holds no config\.yaml"):
        write_report([tmp_path], tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_the_page_writes_nothing_into_the_runs(burgess: Path) -> None:
    before = {file: file.read_bytes() for file in burgess.rglob("*") if file.is_file()}
    build({"burgess": burgess})
    assert {file: file.read_bytes() for file in burgess.rglob("*") if file.is_file()} == before


def test_statistics_of_another_hand_are_left_aside(burgess: Path, tmp_path: Path) -> None:
    shutil.copytree(burgess, tmp_path / "run")
    (tmp_path / "run" / runs.STATISTICS).write_text(json.dumps({"posterior_variance": [1], "elbo": "<b>", "kl": None}))
    found = blocks(build(find_runs([tmp_path]), data=from_arrays(np.zeros((5, 64, 64), np.uint8))))
    assert len(json.loads(found["run-0"])["variance"]) == 10
    assert "<b>" not in json.loads(found["report"])["runs"][0]["results"].values()


def test_a_log_of_nan_is_still_json(burgess: Path, tmp_path: Path) -> None:
    shutil.copytree(burgess, tmp_path / "run")
    with (tmp_path / "run" / runs.LOG).open("a") as file:
        file.write(",".join(["3"] + ["nan"] * (len(runs.read_log(burgess)) - 1)) + "\n")
    assert json.loads(blocks(build(find_runs([tmp_path])))["run-0"])["log"]["recon"][-1] is None


# ---- images of a factor ----


def test_a_factor_is_moved_alone_on_a_grid() -> None:
    data = load("dsprites")
    for factor, levels in enumerate(datasets.levels(data)):
        rows = data.factors(levels.indices)
        assert (np.diff(rows[:, factor]) > 0).all() and rows[0, factor] == 0
        assert rows[-1, factor] == data.factor_sizes[factor] - 1
        assert (np.delete(rows, factor, 1) == np.delete(rows[:1], factor, 1)).all()


def test_or_rises_over_images_that_there_are() -> None:
    data = load("balls", n_balls=1)
    for factor, levels in enumerate(datasets.levels(data)):
        values = data.factors(levels.indices)[:, factor]
        assert len(values) == 8 and (np.diff(values) >= 0).all() and values[-1] > 2 * values[0]


def test_of_a_table_each_value_is_shown_once_by_its_word_or_number(tmp_path: Path) -> None:
    """Among factors with fractions, none of which can be moved alone; a value of a factor may be rare."""
    lines = ["path,colour,count,share"]
    for n in range(40):
        Image.fromarray(np.full((8, 8), 6 * n, np.uint8)).save(tmp_path / f"{n}.png")
        lines.append(f"{n}.png,{'blue' if n == 17 else ['red', 'green'][n % 2]},{2 + n % 6},{n / 7}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    data = load(str(tmp_path / "table.csv"))
    colour, count, share = datasets.levels(data)
    assert colour.labels == ["blue", "green", "red"] and colour.indices[0] == 17
    assert count.labels == ["2", "3", "4", "5", "6", "7"]
    assert len(share.labels) == 8 and share.labels[-1] == "5.57"
    labels = datasets.Shown.of(data).json()["gallery"]["labels"]
    assert all(re.fullmatch(r"colour (red|green|blue), count [2-7], share [\d.]+", label) for label in labels)


# ---- sources ----


def test_every_script_is_part_of_the_page() -> None:
    assert sorted(SCRIPTS) == sorted(file.stem for file in PAGE.glob("*.js"))


def test_onnxruntime_web_is_what_the_script_took() -> None:
    spec = importlib.util.spec_from_file_location("fetch", ROOT / "scripts" / "fetch_onnxruntime_web.py")
    fetch = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fetch)
    script = (WASM.parent / "ort.js").read_text(encoding="utf-8")
    assert hashlib.sha256(gzip.decompress(WASM.read_bytes())).hexdigest() == fetch.WASM_SHA256
    assert f"ONNX Runtime Web v{fetch.VERSION}" in script and "MIT" in script and "import.meta" not in script


def test_the_demo_of_squares_has_its_factors(tmp_path: Path) -> None:
    small_run("beta_vae", tmp_path / "run")
    found = blocks(build(find_runs([tmp_path]), data=squares()))
    assert [factor["name"] for factor in json.loads(found["data-0"])["factors"]] == ["size", "x", "y"]
    details = json.loads(found["run-0"])
    assert np.shape(details["information"]) == (3, 3) and len(details["factorCodes"][1]) == 6


@pytest.mark.parametrize("wrong", ["<b>", None, [1], {}])
@pytest.mark.parametrize("name", ["posterior_variance", "kl_per_latent", "normalised_mutual_information"])
def test_what_does_not_fit_in_statistics_is_computed_anew(tmp_path: Path, name: str, wrong: object) -> None:
    small_run("beta_vae", tmp_path / "run")
    good = {"posterior_variance": [0.1, 0.2, 0.3], "kl_per_latent": [3, 2, 1]}
    good |= {"normalised_mutual_information": [[0.9, 0, 0], [0, 0.8, 0], [0, 0, 0]]}
    for statistics, expected in ((good, True), (good | {name: wrong}, False)):
        (tmp_path / "run" / runs.STATISTICS).write_text(json.dumps(statistics))
        details = json.loads(blocks(build(find_runs([tmp_path]), data=squares()))["run-0"])
        assert (details["variance"] == [0.1, 0.2, 0.3]) is expected
        assert (details["follows"] == ["size", "x", ""]) is expected


def test_what_was_measured_of_an_earlier_step_is_left_out(tmp_path: Path) -> None:
    run = small_run("beta_vae", tmp_path / "run")
    runs.write_scores(run.path, {"mig": Result(0.5)}, 0, step=40)
    found = {"step": 40, "elbo": -1.0, "posterior_variance": [0.1, 0.2, 0.3], "kl_per_latent": [3, 2, 1]}
    found |= {"normalised_mutual_information": [[0, 0, 0]] * 3}
    for earlier in (False, True):
        if earlier:
            scores = json.loads((run.path / runs.SCORES).read_text())
            (run.path / runs.SCORES).write_text(json.dumps({**scores, "step": 25}))
            found["step"] = 25
        runs.write_statistics(run.path, found)
        page = blocks(build(find_runs([tmp_path]), data=squares()))
        (summary,) = json.loads(page["report"])["runs"]
        assert ("mig" not in summary["scores"]) is earlier
        assert (summary["results"]["elbo"] != -1.0) is earlier
        assert (json.loads(page["run-0"])["variance"] != [0.1, 0.2, 0.3]) is earlier


def test_statistics_are_shown_where_the_data_are_elsewhere(tmp_path: Path) -> None:
    small_run("beta_vae", tmp_path / "run")
    found = {"posterior_variance": [0.9, 0.1, 0.2], "kl_per_latent": [0, 3, 2], "factor_names": ["size", "x"]}
    found |= {"normalised_mutual_information": [[0, 0], [0, 0.8], [0.7, 0]]}
    (tmp_path / "run" / runs.STATISTICS).write_text(json.dumps(found))
    details = json.loads(blocks(build(find_runs([tmp_path])))["run-0"])
    assert details["variance"] == [0.9, 0.1, 0.2] and details["follows"] == ["", "x", "size"]
    assert details["information"] is None  # which needs images


def test_a_run_whose_codes_overflow_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    small_run("beta_vae", tmp_path / "good")
    shutil.copytree(tmp_path / "good", tmp_path / "huge")
    tensors, metadata = runs.load_tensors(tmp_path / "huge" / runs.WEIGHTS)
    runs.save_tensors(tmp_path / "huge" / runs.WEIGHTS, {name: 1e30 * each for name, each in tensors.items()}, metadata)
    report = json.loads(blocks(build(find_runs([tmp_path]), data=squares()))["report"])
    assert [run["name"] for run in report["runs"]] == ["good"]
    assert "codes that are not finite" in report["omitted"]["huge"]


def test_many_factors_share_the_images() -> None:
    rng = np.random.default_rng(0)
    data = from_arrays(np.zeros((50, 8, 8), np.uint8), rng.integers(0, 2, (50, 40)))
    assert {len(levels.indices) for levels in datasets.levels(data)} == {2}
