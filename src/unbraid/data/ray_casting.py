"""A room with one object, seen by casting rays: how much of each pixel shows the floor, the walls and the object, lit.

Lengths are in the radius of the object of scale 1. x to the right, y up, z away from the camera at azimuth 0.
"""

from collections.abc import Callable

import numpy as np

SHAPES = ("cube", "cylinder", "sphere", "capsule")
SIDE = 64  # pixels
_SAMPLES = 4  # rays a pixel along each side
_ROOM = 5.0  # from its middle to a wall
_CAMERA, _TARGET = (
    np.array([0.0, 3.3, -6.2]),
    np.array([0.0, 0.85, 0.0]),
)  # outside of the room: near walls are not drawn
_FIELD = 0.40  # half the width of the picture at distance 1
_LIGHT, _LAMP = np.array([-4.0, 8.5, -5.5]), 1.3  # where it is, and its radius, which makes the shadows soft
_AMBIENT = 0.42

Hit = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]  # origins, directions [R, 3] -> t [R], normals


def layers(scale: float, shape: str, azimuth: float) -> np.ndarray:
    """uint8 [4, 64, 64]: brightness times coverage of floor, walls and object, which their colours multiply, and a
    white highlight on top. The camera goes round the middle of the room by `azimuth`, in radians."""
    origin, directions = _rays(azimuth)
    distance, wall, normals = _room(origin, directions)
    hit, own = _object(shape, scale)(np.broadcast_to(origin, directions.shape), directions)
    seen = hit < distance
    points = origin + np.where(seen, hit, distance)[:, None] * directions
    normals = np.where(seen[:, None], own, normals)
    to_light = _lamp(len(points), azimuth) - points
    away = np.linalg.norm(to_light, axis=1, keepdims=True)
    to_light /= away
    lit = np.clip((normals * to_light).sum(1), 0, None)
    background = np.flatnonzero(~seen & (lit > 0))
    blocked, _ = _object(shape, scale)(points[background], to_light[background])
    lit[background[blocked < away[background, 0]]] = 0
    half = to_light - directions / np.linalg.norm(directions, axis=1, keepdims=True)
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    shine = 0.35 * np.clip((normals * half).sum(1), 0, None) ** 40 * seen * (lit > 0)
    bright = np.minimum(_AMBIENT + (1 - _AMBIENT) * lit * np.where(seen, 1.15, 1.0), 1)
    parts = np.stack([bright * (~seen & ~wall), bright * (~seen & wall), bright * seen, shine])  # [4, R]
    pixels = parts.reshape(4, SIDE, _SAMPLES, SIDE, _SAMPLES).mean((2, 4))
    return np.rint(255 * pixels).astype(np.uint8)


def _turned(points: np.ndarray, azimuth: float) -> np.ndarray:
    """About the vertical axis through the middle of the room."""
    c, s = np.cos(azimuth), np.sin(azimuth)
    return points @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _rays(azimuth: float) -> tuple[np.ndarray, np.ndarray]:
    """(origin [3], directions [R, 3]), rows from the top, the samples of a pixel beside each other."""
    ahead = _TARGET - _CAMERA
    ahead /= np.linalg.norm(ahead)
    right = np.cross([0.0, 1.0, 0.0], ahead)
    right /= np.linalg.norm(right)
    up = np.cross(ahead, right)
    across = ((np.arange(SIDE * _SAMPLES) + 0.5) / (SIDE * _SAMPLES) * 2 - 1) * _FIELD
    directions = ahead + across[None, :, None] * right - across[:, None, None] * up
    return _turned(_CAMERA, azimuth), _turned(directions.reshape(-1, 3), azimuth)


def _lamp(count: int, azimuth: float) -> np.ndarray:
    """[count, 3]: a point of the lamp, which goes with the camera, for each ray; spread evenly by the golden angle."""
    n = np.arange(count) * 0.618_033_988_75 % 1
    radius, angle = _LAMP * np.sqrt(n), np.arange(count) * 2.399_963_229_7
    spread = np.stack([radius * np.cos(angle), np.zeros(count), radius * np.sin(angle)], axis=1)
    return _turned(_LIGHT + spread, azimuth)


def _room(origin: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(distance [R], whether it is a wall [R], normals [R, 3]) of floor and far walls."""
    with np.errstate(divide="ignore"):
        floor = np.where(directions[:, 1] < 0, -origin[1] / directions[:, 1], np.inf)
        sides = (np.sign(directions[:, [0, 2]]) * _ROOM - origin[[0, 2]]) / directions[:, [0, 2]]  # [R, 2]
    walls = sides.min(1)
    normals = np.zeros_like(directions)
    rows, axis = np.arange(len(directions)), np.array([0, 2])[sides.argmin(1)]
    normals[rows, axis] = -np.sign(directions[rows, axis])
    wall = walls < floor
    normals[~wall] = [0, 1, 0]
    return np.minimum(walls, floor), wall, normals


def _object(shape: str, scale: float) -> Hit:
    """What stands on the middle of the floor: where rays meet it first, inf where they do not, and its normals."""
    if shape == "sphere":
        return lambda o, d: _sphere(o, d, scale * 1.0, scale * 1.0)
    if shape == "cube":
        return lambda o, d: _cube(o, d, scale * 0.85)
    if shape == "cylinder":
        return lambda o, d: _cylinder(o, d, scale * 0.8, 0.0, scale * 1.7)
    return lambda o, d: _first(
        _cylinder(o, d, scale * 0.65, scale * 0.65, scale * 1.65, capped=False),
        _sphere(o, d, scale * 0.65, scale * 0.65),
        _sphere(o, d, scale * 0.65, scale * 1.65),
    )


def _first(*hits: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    distances = np.stack([distance for distance, _ in hits])
    nearest = distances.argmin(0)
    normals = np.stack([normal for _, normal in hits])
    return distances.min(0), normals[nearest, np.arange(len(nearest))]


def _sphere(o: np.ndarray, d: np.ndarray, radius: float, height: float) -> tuple[np.ndarray, np.ndarray]:
    off = o - [0, height, 0]
    t = _nearer_root((d * d).sum(1), (off * d).sum(1), (off * off).sum(1) - radius**2)
    return t, (off + _finite(t)[:, None] * d) / radius


def _cylinder(
    o: np.ndarray, d: np.ndarray, radius: float, low: float, high: float, *, capped: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    flat_o, flat_d = o * [1, 0, 1], d * [1, 0, 1]
    t = _nearer_root((flat_d**2).sum(1), (flat_o * flat_d).sum(1), (flat_o**2).sum(1) - radius**2)
    y = o[:, 1] + _finite(t) * d[:, 1]
    t = np.where((y >= low) & (y <= high), t, np.inf)
    side = t, (flat_o + _finite(t)[:, None] * flat_d) / radius
    if not capped:
        return side
    with np.errstate(divide="ignore", invalid="ignore"):
        top = (high - o[:, 1]) / d[:, 1]
    point = flat_o + _finite(top)[:, None] * flat_d
    top = np.where((top > 0) & ((point**2).sum(1) <= radius**2), top, np.inf)
    return _first(side, (top, np.broadcast_to([0.0, 1.0, 0.0], d.shape)))


def _cube(o: np.ndarray, d: np.ndarray, half: float) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        bounds = np.stack([-half - (o - [0, half, 0]), half - (o - [0, half, 0])]) / d  # [2, R, 3]
    enter, leave = bounds.min(0), bounds.max(0)
    t = np.where((enter.max(1) < leave.min(1)) & (enter.max(1) > 0), enter.max(1), np.inf)
    normals = np.zeros_like(d)
    rows, axis = np.arange(len(d)), enter.argmax(1)
    normals[rows, axis] = -np.sign(d[rows, axis])
    return t, normals


def _nearer_root(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Least t > 0 with a t^2 + 2 b t + c = 0 where the ray comes from outside; inf where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (-b - np.sqrt(b * b - a * c)) / a
    return np.where(t > 1e-6, t, np.inf)


def _finite(t: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(t), t, 0.0)
