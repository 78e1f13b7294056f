"""A page of a report in a browser: what it says and asks for, its pictures and its sliders."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from playwright.sync_api import Page


@dataclass
class Opened:
    """A page in the browser, and all that it said or asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def ready(self) -> "Opened":
        """Waits for the first decoded picture, and until nothing more is being drawn of its own accord."""
        self.page.locator("#between-strip[data-painted]").wait_for()  # the last that is drawn
        assert self.page.evaluate("performance.getEntriesByName('first-picture').length") == 1
        return self

    def pixels(self, selector: str = "#picture") -> np.ndarray:
        """[H, W, 3] of a canvas, from 0 to 1."""
        script = """selector => {
            const canvas = document.querySelector(selector);
            const { data, width, height } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return [height, width, Array.from(data)];
        }"""
        height, width, data = self.page.evaluate(script, selector)
        return np.array(data).reshape(height, width, 4)[..., :3] / 255

    def code(self) -> np.ndarray:
        """[L] as the sliders show it."""
        script = (
            "Array.from(document.querySelectorAll('.latent'), e => [e.dataset.latent, e.querySelector('input').value])"
        )
        values = {int(latent): float(value) for latent, value in self.page.evaluate(script)}
        return np.array([values[latent] for latent in range(len(values))])

    def set_slider(self, latent: int, value: float) -> None:
        """As a hand would: the picture is drawn again before this returns."""
        self.page.evaluate(
            """([latent, value]) => new Promise(done => {
                document.querySelector('#picture').addEventListener('drawn', done, { once: true });
                const slider = document.querySelector(`#slider-${latent}`);
                slider.value = value;
                slider.dispatchEvent(new Event('input', { bubbles: true }));
            })""",
            [latent, value],
        )

    def settled(self) -> None:
        """Waits until the picture has stayed as it is for a while."""
        script = """new Promise(done => {
            let [last, same] = ['', 0];
            const look = () => {
                const now = document.querySelector('#picture').toDataURL();
                same = now === last ? same + 1 : 0;
                last = now;
                if (same === 5) done();
                else setTimeout(look, 60);
            };
            look();
        })"""
        self.page.evaluate(script)


Open = Callable[..., Opened]
