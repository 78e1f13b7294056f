"""The parts of the page, its sources beside this file, and how they become one file."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from unbraid import __version__
from unbraid.figures.style import LOOKS, Look

# Joined in this order into one script, whose parts see each other's names.
SCRIPTS = (
    "dom",
    "blocks",
    "engine",
    "images",
    "gif",
    "hand",
    "sliders",
    "stage",
    "pad",
    "between",
    "reconstructions",
    "information",
    "curves",
    "scores",
    "provenance",
    "runs",
    "compare",
    "live",
    "main",
)
_ASSETS = resources.files("unbraid.report") / "assets"
_MARK = re.compile(r"\{\{(\w+)\}\}")


def asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def json_block(name: str, value: Any) -> str:
    """Data for the page's script; no text in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def bytes_block(name: str, content: bytes) -> str:
    return f'<script type="application/octet-stream" id="{name}">{base64.b64encode(content).decode()}</script>'


def wasm_block() -> str:
    """onnxruntime's program, compressed."""
    return bytes_block("wasm", (_ASSETS / "onnxruntime-web" / "ort-wasm-simd-threaded.wasm.gz").read_bytes())


def page(report: Mapping[str, Any], first: Sequence[str], rest: Sequence[str]) -> str:
    """The whole page: its script starts when the browser has read the blocks in `first`, while `rest` still comes."""
    style, script = _style(), _script()
    connect = "connect-src 'self'; " if report["live"] else ""
    policy = (
        f"default-src 'none'; {connect}img-src data: blob:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}' 'wasm-unsafe-eval'; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "style": style,
        "version": __version__,
        "licence": asset("onnxruntime-web/LICENSE").strip(),
        "first": "\n".join([json_block("report", report), *first]),
        "script": script,
        "rest": "\n".join(rest),
    }
    return _MARK.sub(lambda mark: parts[mark[1]], asset("page/page.html"))


def _hash(source: str) -> str:
    """How the page's policy names the one script, or the one style, that may act."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


def _script() -> str:
    ours = "\n".join(asset(f"page/{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{asset("onnxruntime-web/ort.js")}\n{ours}\n}})();\n'


def _style() -> str:
    light, dark = (_colours(LOOKS[theme], theme) for theme in ("light", "dark"))
    return (
        f":root {{ {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {dark} }} }}\n"
        f":root[data-theme=dark] {{ {dark} }}\n"
        f"{asset('page/style.css')}"
    )


def _colours(look: Look, theme: str) -> str:
    """The look of the figures as properties of the page."""
    light = theme == "light"
    properties = {
        "page": look.background,
        "ink": look.ink,
        "muted": look.muted,
        "faint": look.faint,
        "line": "#dedede" if light else "#363636",
        "card": "#fafafa" if light else "#1d1d1d",
        "wash": "#eef3f9" if light else "#20262d",
        "accent": look.colours[0],
        "good": look.colours[2],
        "heat-faint": look.sequential[1],
        "low-text": "#000" if light else "#fff",
        "middle-text": "#000",
        "high-text": "#fff" if light else "#000",
        **{f"heat-{n}": colour for n, colour in enumerate(look.sequential)},
        **{f"series-{n}": colour for n, colour in enumerate(look.colours)},
    }
    return f"color-scheme: {theme}; " + " ".join(f"--{name}: {value};" for name, value in properties.items())
