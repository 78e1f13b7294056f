"""Takes onnxruntime-web from its npm package and puts what the report page needs of it beside the page's sources.

    python scripts/fetch_onnxruntime_web.py

Needed only to move to another version: set VERSION and SHA256, run it with npm at hand, and commit what it wrote.
"""

import gzip
import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "1.30.0"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"  # of the package that npm gives
WASM_SHA256 = (
    "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"  # of the file below, as the tests check it
)
WASM = "ort-wasm-simd-threaded.wasm"
BUNDLE = "ort.wasm.bundle.min.mjs"
TARGET = Path(__file__).parents[1] / "src" / "unbraid" / "report" / "assets" / "onnxruntime-web"

# A page opened from a file has no address that Firefox would load modules from; nothing is loaded from this one either.
_NO_ADDRESS = '"inline://page/"'


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", f"onnxruntime-web@{VERSION}"], cwd=folder, check=True)
        (package,) = Path(folder).glob("*.tgz")
        found = hashlib.sha256(package.read_bytes()).hexdigest()
        if found != SHA256:
            sys.exit(f"the package has the SHA-256 {found}, not {SHA256}")
        with tarfile.open(package) as archive:
            wasm, bundle = (_member(archive, f"package/dist/{name}") for name in (WASM, BUNDLE))
    TARGET.mkdir(parents=True, exist_ok=True)
    (TARGET / f"{WASM}.gz").write_bytes(gzip.compress(wasm, 9, mtime=0))
    (TARGET / "ort.js").write_text(as_script(bundle.decode()), encoding="utf-8", newline="\n")


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


def as_script(module: str) -> str:
    """The module as a plain script that leaves its exports in `ort`: a module cannot be part of a larger script."""
    body, exports = re.fullmatch(r"(.*)export\{([^}]*)\};\s*//# sourceMappingURL=\S+\s*", module, re.DOTALL).groups()
    names = dict(reversed(pair.split(" as ")) for pair in exports.split(","))
    wanted = ", ".join(f"{name}: {names[name]}" for name in ("InferenceSession", "Tensor", "env"))
    body = body.replace("import.meta.url", _NO_ADDRESS)
    if "import.meta" in body or re.search(r"</script|<!--", body):
        sys.exit("this version has something in it that a script in a page cannot have: look at it")
    licence, code = body.split("*/", 1)
    note = "* Changed for unbraid: its exports are left in `ort`, and its own address is a constant."
    return f"{licence}{note}\n */\nconst ort = (() => {{{code}\nreturn {{ {wanted} }};\n}})();\n"


if __name__ == "__main__":
    main()
