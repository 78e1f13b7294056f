"""`unbraid encode` and `unbraid decode`."""

import argparse
from pathlib import Path


def encode(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="RUN", help="folder of a trained run")
    help = "a folder, a table of paths, pictures, an array (.npy, .npz, .h5), or the name of a data set"
    parser.add_argument("images", nargs="+", metavar="IMAGES", help=help)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help=".parquet, .csv or .npz")
    parser.add_argument("--variances", action="store_true", help="add the posterior variances")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.epilog = "One row an image: `image` (its name or index), `z0`, `z1`, ... (posterior means)."
    parser.set_defaults(run=_run_encode)


def _run_encode(chosen: argparse.Namespace) -> None:
    from unbraid import codes, runs

    run = runs.load(chosen.path, chosen.device)
    dataset = codes.open_images(run, *chosen.images)
    n = codes.encode(run, dataset, chosen.out, variances=chosen.variances, show=True)
    print(f"{n:,} codes: {chosen.out}")


def decode(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="RUN", help="folder of a trained run")
    parser.add_argument("codes", type=Path, metavar="CODES", help="file of `unbraid encode`, or an array (.npy)")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="OUT", help="new folder of PNG files, or array (.npy, .npz)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.set_defaults(run=_run_decode)


def _run_decode(chosen: argparse.Namespace) -> None:
    from unbraid import codes, runs

    n = codes.decode(runs.load(chosen.path, chosen.device), chosen.codes, chosen.out, show=True)
    print(f"{n:,} images: {chosen.out}")
