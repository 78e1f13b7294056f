"""What the kernels of convolutions are made for: sizes, taps, and how numbers lie.

Letters: S stride, k kernel, P padding. `large` is the side of a convolution with more pixels, [H, W, C], `small` the
other, [h, w, n]: `down` goes from large to small, `up` back, and a convolution's gradient for its images is the other
of the two. Images lie channels last.

A vector holds the numbers of several channels that are made. Where those fill half of it or a quarter, it takes two
inputs or four at once: `fold` of them, whose weights lie interleaved.
"""

from dataclasses import dataclass

from unbraid.kernels.machine_code import lanes, registers, widths

_NARROW = 8  # channels of one pixel that fill enough of a vector

Size = tuple[int, int, int]  # (height, width, channels)


@dataclass(frozen=True)
class Convolution:
    """Sizes of one, and the activation after it."""

    transposed: bool  # from small to large
    large: Size
    small: Size
    kernel: int
    stride: int
    padding: int
    activation: str

    @property
    def given(self) -> Size:
        return self.small if self.transposed else self.large

    @property
    def made(self) -> Size:
        return self.large if self.transposed else self.small

    @property
    def weights(self) -> int:
        return self.kernel**2 * self.large[2] * self.small[2]

    def window(self, remainder: int, tap: int) -> int | None:
        """The window, from q on, that gives to a pixel at S q + remainder by this tap; None where there is none."""
        distance = remainder + self.padding - tap
        return None if distance % self.stride else distance // self.stride


class Padded:
    """An image within zeros, in the working space: no kernel must ask where an image ends."""

    def __init__(self, size: Size, before: int, height: int, width: int) -> None:
        self.size, self.before = size, before
        self.row = width * size[2]  # floats
        self.floats = height * self.row
        self.first = before * self.row + before * size[2]  # of the image

    @classmethod
    def large(cls, of: Convolution) -> "Padded":
        """As far as windows reach."""
        height, width = (
            max(of.padding + pixels, (windows - 1) * of.stride + of.kernel)
            for pixels, windows in zip(of.large[:2], of.small[:2], strict=True)
        )
        return cls(of.large, of.padding, height, width)

    @classmethod
    def small(cls, of: Convolution) -> "Padded":
        """As far as the pixels of large ask for windows."""
        found = [of.window(remainder, tap) for remainder in range(of.stride) for tap in range(of.kernel)]
        known = [distance for distance in found if distance is not None]
        before, after = max(0, -min(known)), max(0, max(known))
        height, width = (
            before + max(windows, pixels // of.stride + after)
            for pixels, windows in zip(of.large[:2], of.small[:2], strict=True)
        )
        return cls(of.small, before, height, width)


def fill_vectors(channels: int) -> bool:
    """Nearly: the rest beside whole vectors is two smaller ones at most. 15 = 8 + 4 + 2 + 1 is better off in torch."""
    return len(widths(channels % lanes())) <= 2


def is_dotted(of: Convolution) -> bool:
    """Whether the channels made on the way up are so few that a vector better holds those given.

    The code for a row of pixels grows with the stride, and so does the time to compile it.
    """
    few = of.large[2] < _NARROW and of.stride * of.large[2] <= 2 * _NARROW
    return few and of.small[2] >= _NARROW // 2


def pixels_at_once(of: Convolution) -> int:
    """Pixels of the small side that one vector of `dots` holds side by side, in a row of as many or more."""
    inputs, columns = of.small[2], of.large[1] // of.stride
    most = lanes() // inputs
    return 1 << min(most, columns).bit_length() - 1 if most and lanes() % inputs == 0 else 1


def sums_at_once(outputs: int) -> int:
    """Pixels whose sums, two vectors of each at most, stay in registers; more than 16 would not be quicker."""
    return min(registers() // min(2, len(widths(outputs))), 16)


def fold_of(inputs: int, outputs: int) -> int:
    """Inputs that a vector takes at once."""
    fold = lanes() // outputs
    return fold if fold in (2, 4) and lanes() % outputs == 0 and inputs % fold == 0 else 1
