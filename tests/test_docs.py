"""The pages: made from what the package says of itself, linked, and with examples that run."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from unbraid.metrics import METRICS
from unbraid.metrics.published import PUBLISHED

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [page for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))) if page.exists()]
BLOCK = re.compile(r"^```(\w*) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)  # language, file it is written to, text
FRESH = "mig", "mig_sup", "dcimig", "jemmig", "modularity", "irs", "unsupervised"  # metrics of milliseconds


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_build", DOCS / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def named(page: Path) -> str:
    return page.name


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


# ---- generated parts ----


def test_every_generated_part_has_one_place(build: ModuleType) -> None:
    marks = re.findall(r"<!-- (?:begin|end) (\w+) -->", "".join(text(page) for page in PAGES))
    assert sorted(marks) == sorted([*build.PARTS, *build.PARTS])
    assert sum(len(build.MARKED.findall(text(page))) for page in PAGES) == len(build.PARTS)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=named)
def test_tables_of_the_package_are_fresh(build: ModuleType, page: Path) -> None:
    cheap = build.PARTS.keys() - {"scores"}
    assert build.rebuilt(text(page), cheap) == text(page), (
        f"run `make docs`, or `python docs/build.py {' '.join(cheap)}`"
    )


def test_a_part_is_made_in_its_place_alone(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "PARTS", {"one": lambda: "new 1", "two": lambda: "new 2"})
    page = "a\n<!-- begin one -->\nold\n<!-- end one -->\nb\n<!-- begin two -->\nold\n<!-- end two -->\nc"
    made = build.rebuilt(page, ["two"])
    assert made.startswith(page[: page.index("<!-- begin two")])
    assert made.endswith("<!-- begin two -->\n\nnew 2\n\n<!-- end two -->\nc")
    assert build.rebuilt(made, ["two"]) == made


def scores_on_the_page() -> dict[str, dict[str, str]]:
    """Metric -> column -> cell."""
    lines = re.search(r"<!-- begin scores -->(.*)<!-- end scores -->", text(DOCS / "metrics.md"), re.DOTALL)
    assert lines is not None
    header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[1].strip().splitlines()]
    return {row[0].split("`")[1]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}


def test_the_table_of_scores_has_every_metric_and_column(build: ModuleType) -> None:
    found = scores_on_the_page()
    assert {name.partition(".")[0] for name in found} == {*METRICS, "udr"}
    for cells in found.values():
        assert list(cells) == list(build.example_codes()[1])
        assert all(re.fullmatch(r"-?\d+\.\d\d", cell) for cell in cells.values())


def test_the_table_of_scores_is_fresh_where_that_is_quick_to_see(build: ModuleType) -> None:
    found = scores_on_the_page()
    for column, scores in build.example_scores(FRESH).items():
        for name in FRESH:  # the determinant of two equal columns is rounding, and its logarithm large: hence rel
            assert float(found[name][column]) == pytest.approx(scores[name], abs=0.006, rel=2e-3), (name, column)


def test_no_published_score_is_beyond_what_perfect_codes_get() -> None:
    """Such a number is of another protocol, and beside ours it would say that every run is bad."""
    found = scores_on_the_page()
    for name, values in PUBLISHED["dsprites"].items():
        for method, value, _ in values:
            assert value <= float(found[name]["perfect"]), (name, method)


# ---- what a reader finds ----


@pytest.mark.parametrize("name", [*METRICS, "udr"])
def test_every_metric_has_its_section(name: str) -> None:
    section = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", text(DOCS / "metrics.md"), re.MULTILINE | re.DOTALL)
    assert section is not None
    for expected in ("```math\n", "- **Protocol.** ", "- **Range.** ", "- **Failings.** ", "- **Elsewhere.** "):
        assert section[1].count(expected) == 1


def slugs(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", text(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    for link in re.findall(r'\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"', BLOCK.sub("", text(page))):
        path, _, anchor = "".join(link).partition("#")
        if path.startswith(("http://", "https://", "mailto:")):
            continue
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in slugs(target)):
            yield "".join(link)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A *b* c_d!\n[1](#a-b-c_d) [2](page.md) [3](#e) [4](no.md) <img src='x'> <img src=\"y.png\">")
    assert list(broken_links(page)) == ["#e", "no.md", "y.png"]


# ---- what a reader types ----


def test_the_snippets_about_metrics_run(capsys: pytest.CaptureFixture[str]) -> None:
    snippets = [code for language, _, code in BLOCK.findall(text(DOCS / "metrics.md")) if language == "python"]
    assert snippets
    for code in snippets:
        exec(compile(code, "docs/metrics.md", "exec"), {})
    assert re.fullmatch(r"([01]\.\d\d ?){4}\n", capsys.readouterr().out)


def with_lines(module: str, lines: str) -> str:
    """The source of a room's `__init__.py` with an import, and with an entry at the top of its table."""
    imports, entry = lines.splitlines(keepends=True)
    module = re.sub(r"^from unbraid", f"{imports}from unbraid", module, count=1, flags=re.MULTILINE)
    module, tables = re.subn(r"^([A-Z]+: dict\[.*\] = \{\n)", rf"\1{entry}", module, flags=re.MULTILINE)
    assert tables == 1
    return module


PROGRAMS = {
    "pytest": [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
    "unbraid": [sys.executable, "-c", "import sys; from unbraid.cli import main; sys.exit(main())"],
}


IN_SHORT = "adding_a_metric.md", "adding_an_objective.md"  # the others take a net and a data set through every check


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[] if page.name in IN_SHORT else pytest.mark.slow)
        for page in sorted(DOCS.glob("adding_*.md"))
    ],
    ids=named,
)
def test_a_worked_example_does_what_the_page_says(page: Path, tmp_path: Path) -> None:
    """In a copy of the project: the files are written, the line is put into its table, the commands are run."""
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    blocks = BLOCK.findall(text(page))
    for _, path, code in blocks:
        if path:
            file = tmp_path / path
            code = with_lines(text(file), code) if file.exists() else code
            file.write_text(code, encoding="utf-8")
    commands = [line for language, _, code in blocks if language == "console" for line in code.splitlines()]
    assert commands
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
    for command in commands:
        program, *arguments = shlex.split(command)
        done = subprocess.run(
            [*PROGRAMS[program], *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
