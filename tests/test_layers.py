"""Who may import whom: the floors of the house, read from the sources themselves."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src" / "unbraid"

# A file imports only from floors above its own line. Rooms of one line never import each other, but for the ground
# floor, where circles alone are refused.
FLOORS = (
    "errors types registry schedules randomness files progress probability information processors parquet",
    "kernels",
    "optimizers",
    "data models objectives metrics figures",
    "config",
    "course",
    "runs recipes",
    "logs surroundings survey evaluate export",
    "training selection codes hub",
    "pictures tables sklearn report",
    "study",
    "cli",
    "__main__",
)
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms.split()}
ONLY_IN = {"llvmlite": {"kernels"}, "matplotlib": {"figures"}, "ray": {"study"}, "pickle": set()}

Arrow = tuple[str, str]  # (importing file, imported module), both as paths from the package: "data/balls", "runs"


def sources(root: Path) -> dict[str, ast.Module]:
    """Name -> syntax tree; a package goes by its folder, and the facade `unbraid/__init__.py` is left out."""
    trees = {}
    for file in sorted(root.rglob("*.py")):
        name = file.relative_to(root).with_suffix("").as_posix().removesuffix("/__init__")
        if name != "__init__":
            trees[name] = ast.parse(file.read_text(encoding="utf-8"))
    return trees


def imported(tree: ast.Module) -> Iterator[str]:
    """Dotted names of all that a file imports, wherever in it: "unbraid.data.DATASETS", "numpy"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None, "relative imports are not used here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows(root: Path) -> set[Arrow]:
    trees = sources(root)
    found = set()
    for name, tree in trees.items():
        for dotted in imported(tree):
            path = dotted.replace(".", "/").removeprefix("unbraid/")
            if dotted.startswith("unbraid.") and path != "__version__":
                target = path if path in trees else path.rpartition("/")[0]
                assert target in trees, f"{name} imports {dotted}, which is not there"
                found.add((name, target))
    return found


def room(name: str) -> str:
    return name.partition("/")[0]


def wrong_way(found: set[Arrow]) -> list[Arrow]:
    """Arrows to a higher floor, or to another room of the same one."""
    wrong = []
    for source, target in sorted(found):
        here, there = HEIGHT[room(source)], HEIGHT[room(target)]
        if there > here or (there == here > 0 and room(source) != room(target)):
            wrong.append((source, target))
    return wrong


def circle(found: set[Arrow]) -> list[str]:
    """The files of one circle, [] where there is none."""
    graph: dict[str, set[str]] = {}
    for source, target in found:
        graph.setdefault(source, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def out_of_place(root: Path) -> list[tuple[str, str]]:
    """Third-party imports in a room that must do without them."""
    return [
        (name, dotted)
        for name, tree in sources(root).items()
        for dotted in imported(tree)
        if room(name) not in ONLY_IN.get(dotted.partition(".")[0], {room(name)})
    ]


def test_every_file_has_a_floor() -> None:
    assert {room(name) for name in sources(SOURCES)} - HEIGHT.keys() == set(), "give the new room its floor above"


def test_every_arrow_points_down() -> None:
    assert wrong_way(arrows(SOURCES)) == []


def test_no_circles() -> None:
    assert circle(arrows(SOURCES)) == []


def test_matplotlib_stays_in_figures_and_pickle_outside() -> None:
    assert out_of_place(SOURCES) == []


def test_nothing_is_saved_or_loaded_by_pickle() -> None:
    for name, tree in sources(SOURCES).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "torch":
                assert node.attr not in ("load", "save"), f"{name} calls torch.{node.attr}"
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant) and node.value.value is False, f"{name} allows pickle"


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("schedules.py", "from unbraid import config"),
        ("config.py", "def f():\n    from unbraid.training import train"),
        ("data/balls.py", "from unbraid.models import build"),
        ("logs/tensorboard.py", "import unbraid.evaluate"),
        ("study/grid.py", "from unbraid.cli import main"),
    ],
)
def test_the_check_sees_a_wrong_arrow(tmp_path: Path, file: str, line: str) -> None:
    copy_with(tmp_path, file, line)
    assert {source for source, _ in wrong_way(arrows(tmp_path))} == {file.removesuffix(".py")}


@pytest.mark.parametrize(
    ("file", "line", "length"),
    [("errors.py", "from unbraid.registry import suggest", 2), ("data/pixels.py", "import unbraid.data.stored", 2)],
)
def test_the_check_sees_a_circle(tmp_path: Path, file: str, line: str, length: int) -> None:
    copy_with(tmp_path, file, line)
    assert len(set(circle(arrows(tmp_path)))) == length


@pytest.mark.parametrize("line", ["import pickle", "from matplotlib import pyplot", "import ray"])
def test_the_check_sees_what_is_out_of_place(tmp_path: Path, line: str) -> None:
    copy_with(tmp_path, "metrics/mig.py", line)
    assert [name for name, _ in out_of_place(tmp_path)] == ["metrics/mig"]


def copy_with(folder: Path, file: str, line: str) -> None:
    for source in SOURCES.rglob("*.py"):
        target = folder / source.relative_to(SOURCES)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    changed = folder / file
    changed.write_text(changed.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
