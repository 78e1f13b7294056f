"""`python guided.py READER FOLDER CORPUS -runs=10000`: input for a reader by atheris, led by the lines it reaches."""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["unbraid", "yaml"]):
    from fuzzing import READERS, accepted, written


def main() -> None:
    name, folder, *options = sys.argv[1:]
    file, reader = READERS[name]

    def one(content: bytes) -> None:
        written(Path(folder) / file, content)
        accepted(lambda: reader(Path(folder)))

    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
