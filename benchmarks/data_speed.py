"""Times the data: pictures decoded, files unpacked, images drawn, batches made; and the memory of 200,000 images.

    python benchmarks/data_speed.py [--images 200000] [--out benchmarks/results]

Everything is made in a temporary folder, which needs 5 GB. Each part runs in a process of its own, so that memory is
its alone. Prints and writes images/s, ms a batch of 64, and the peak of resident memory.
"""

import argparse
import datetime
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.data import load
from unbraid.files import write_json
from unbraid.processors import cores

BATCH, BATCHES = 64, 300
RNG = np.random.default_rng(0)


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = call()
    return time.perf_counter() - began, found


def timed_each(results: Iterable[Any]) -> float:
    """Seconds to make them all, none of which is kept."""
    began = time.perf_counter()
    deque(results, maxlen=0)
    return time.perf_counter() - began


def use(dataset: Any) -> dict[str, float]:
    """How fast images come by index, and training batches as floats."""
    indices = RNG.integers(0, len(dataset), 4096)
    dataset.images(indices[:64])
    by_index = timed_each(dataset.images(part) for part in np.split(indices, 8))
    batches = dataset.batches(BATCH, seed=0)
    batches(0)
    of_batches = timed_each(batches(step) for step in range(1, BATCHES + 1))
    return {"images_per_s": len(indices) / by_index, "ms_a_batch": 1000 * of_batches / BATCHES}


def pictures(folder: Path, count: int, side: int, format: str) -> None:
    """`count` files of 50 different smooth pictures."""
    from PIL import Image

    contents = []
    for _ in range(50):
        small = Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        stream = BytesIO()
        small.resize((side, side), Image.Resampling.BICUBIC).save(stream, format)
        contents.append(stream.getvalue())
    for number in range(count):
        file = folder / f"{number // 1000:03}" / f"{number:06}.{format.lower()}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(contents[number % 50])


def read_pictures(folder: Path, count: int, side: int, format: str) -> dict[str, float]:
    pictures(folder / "pictures", count, side, format)
    seconds, dataset = timed(lambda: load(str(folder / "pictures")))
    again, _ = timed(lambda: load(str(folder / "pictures")))
    return {"read_per_s": count / seconds, "found_again_s": again, **use(dataset)}


def unpack(folder: Path, suffix: str, count: int) -> dict[str, float]:
    images = np.repeat(RNG.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8), 8, axis=1).repeat(8, axis=2)
    file = folder / f"images{suffix}"
    if suffix == ".npy":
        np.save(file, images)
    elif suffix == ".npz":
        np.savez_compressed(file, images=images)
    else:
        import h5py

        with h5py.File(file, "w") as opened:
            opened.create_dataset("images", data=images, compression="gzip", chunks=(100, 64, 64, 3))
    del images
    seconds, dataset = timed(lambda: load(str(file)))
    return {"unpacked_per_s": count / seconds, **use(dataset)}


def draw(name: str) -> dict[str, float]:
    first, dataset = timed(lambda: load(name))
    return {"first_time_s": first, **use(dataset)}


def draw_all(name: str) -> dict[str, float]:
    dataset = load(name)
    seconds = timed_each(dataset.images(np.arange(n, n + 1000)) for n in range(0, len(dataset), 1000))
    return {"images": len(dataset), "seconds": seconds, "images_per_s": len(dataset) / seconds}


def large(folder: Path, count: int) -> dict[str, float]:
    """More than memory should hold: decoded, 3,000 batches drawn from all over, and every image looked at once."""
    pictures(folder / "pictures", count, 64, "JPEG")
    seconds, dataset = timed(lambda: load(str(folder / "pictures")))
    batches = dataset.batches(BATCH, seed=0)
    of_batches = timed_each(batches(step) for step in range(3000))
    through = timed_each(dataset.images(np.arange(n, n + 1000)).sum() for n in range(0, count - 999, 1000))
    return {"images": count, "read_per_s": count / seconds, "ms_a_batch": of_batches / 3, "through_s": through}


PARTS: dict[str, Callable[[Path, int], dict[str, float]]] = {
    "read PNG 64x64": lambda folder, _: read_pictures(folder, 10_000, 64, "PNG"),
    "read JPEG 640x640": lambda folder, _: read_pictures(folder, 2_000, 640, "JPEG"),
    "unpack npy": lambda folder, _: unpack(folder, ".npy", 20_000),
    "unpack npz": lambda folder, _: unpack(folder, ".npz", 20_000),
    "unpack HDF5": lambda folder, _: unpack(folder, ".h5", 20_000),
    "draw dsprites": lambda *_: draw("dsprites"),
    "draw color_dsprites": lambda *_: draw("color_dsprites"),
    "draw noisy_dsprites": lambda *_: draw("noisy_dsprites"),
    "draw xy_squares": lambda *_: draw("xy_squares"),
    "draw shapes3d_like": lambda *_: draw("shapes3d_like"),
    "draw all of shapes3d_like": lambda *_: draw_all("shapes3d_like"),
    "draw balls": lambda *_: draw("balls"),
    "a large folder": large,
}


def alone(part: str, images: int) -> dict[str, float]:
    """The part in this process, with the peak of memory."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["UNBRAID_CACHE"] = str(Path(folder) / "cache")
        found = PARTS[part](Path(folder), images)
    return {**found, "peak_mib": most_memory() / 2**20}


def most_memory() -> int:
    """Bytes of this program at its largest; Linux's rusage counts those of the process that started it, too."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(1024 * int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200_000, help="in the large folder")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--part", choices=PARTS, help="only this one, printed as JSON")
    chosen = parser.parse_args()
    if chosen.part:
        print(json.dumps(alone(chosen.part, chosen.images)))
        return
    found = {}
    for part in PARTS:
        command = [sys.executable, __file__, "--part", part, "--images", str(chosen.images)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found[part] = json.loads(done.stdout)
        print(f"{part:28}" + "  ".join(f"{name} {value:,.4g}" for name, value in found[part].items()), flush=True)
    name = f"{datetime.date.today().isoformat()}-{cores()}-cores-data_speed.json"
    write_json(chosen.out / name, {"numpy": np.__version__, "batch": BATCH, "parts": found})


if __name__ == "__main__":
    main()
