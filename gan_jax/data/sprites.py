"""White shapes on black, drawn from known factors: data on which it can be measured what a latent code has found."""

import functools
import math
from collections.abc import Mapping, Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import pixels
from gan_jax.data.dataset import Dataset
from gan_jax.errors import ConfigError, at_least_one

KINDS = ("square", "ellipse", "triangle")
FACTORS = ("kind", "x", "y", "scale", "angle")

_AREA = 0.4  # of each shape at scale 1, out of the picture's 4
_HALF_SIDE = math.sqrt(_AREA) / 2
_AXES = (math.sqrt(2 * _AREA / math.pi), math.sqrt(_AREA / (2 * math.pi)))  # half the length and width of the ellipse
_INRADIUS = math.sqrt(_AREA / (3 * math.sqrt(3)))
_HELD_OUT = 2_000
_TEST_KEY = 2**31 - 1  # far from the small seeds that runs are given


def sprites(
  resolution: int = 32,
  kinds: Sequence[str] = KINDS,
  x: tuple[float, float] = (-0.4, 0.4),
  y: tuple[float, float] = (-0.4, 0.4),
  scale: tuple[float, float] = (0.5, 1.0),
  angle: tuple[float, float] = (0.0, math.pi / 2),
) -> Dataset:
  """One shape a picture, its factors drawn independently and uniformly; after dSprites (Matthey et al. 2017).

  The picture is the square [-1, 1]^2. All kinds cover the same area, 0.4 scale^2 of its 4, so that brightness tells the
  scale and not the kind. A turn brings a square back after pi / 2, a triangle after 2 pi / 3 and an ellipse after pi:
  the default angles show each picture once, and a code that follows the angle of a square still has to jump where it
  ends.
  With the default ranges no shape is cut off.

  Args:
    resolution: side in pixels.
    kinds: which of `KINDS` to draw, each as often.
    x: lowest and highest place of the centre, from left to right. A factor whose two ends are equal does not vary.
    y: likewise, from the bottom up.
    scale: lowest and highest length, 1 being full size.
    angle: lowest and highest turn in radians, counter-clockwise.

  Returns:
    Dataset of "x" [resolution, resolution, 1], "label", an index into `kinds`, and "factors" [5], float32, as
    `draw_shapes` reads them. The pixels of `test` are rounded to uint8, those of `draw` are not.

  Raises:
    ConfigError: a kind is unknown or comes twice, there is none, or a range is not finite, falls, or has no positive
      scale.
  """
  at_least_one("resolution", resolution)
  if not kinds or len(set(kinds)) < len(kinds) or not set(kinds) <= set(KINDS):
    raise ConfigError(f"kinds is {list(kinds)}; sprites draws different ones of {', '.join(KINDS)}")
  ranges = {"x": x, "y": y, "scale": scale, "angle": angle}
  for name, ends in ranges.items():
    if np.shape(ends) != (2,) or not -math.inf < ends[0] <= ends[1] < math.inf:
      raise ConfigError(f"{name} is {ends}; it has to be two finite numbers, the lowest and the highest")
  if not scale[0] > 0:
    raise ConfigError(f"scale is {tuple(scale)}; it has to be above 0")
  low, high = (jnp.array([each[end] for each in ranges.values()], jnp.float32) for end in (0, 1))
  leaves = {"kinds": jnp.array([KINDS.index(kind) for kind in kinds], jnp.int32), "low": low, "high": high}
  draw = jax.tree_util.Partial(functools.partial(_draw, resolution), leaves)
  test = {k: np.asarray(v) for k, v in draw(jax.random.key(_TEST_KEY), _HELD_OUT).items()}
  test["x"] = pixels.encode(test["x"])
  return Dataset("sprites", (resolution, resolution, 1), len(kinds), None, draw, test, arrays=leaves)


@functools.partial(jax.jit, static_argnums=1)  # op by op it would take seconds, most of them to compile
def draw_shapes(factors: jax.Array, resolution: int) -> jax.Array:
  """Draws one shape a picture: a pure function, differentiable in all factors but the kind.

  A pixel is as white as a straight edge at the shape's distance from its centre would leave it, over a width of one
  pixel: smooth edges without drawing at a higher resolution.

  Args:
    factors: [N, 5] in the order of `FACTORS`: the kind as an index into `KINDS`; the centre (x, y) in the picture
      [-1, 1]^2, y upwards; the scale, positive; the angle in radians, counter-clockwise. At angle 0 the square's sides
      are level, the ellipse lies (it is twice as long as wide), and the triangle, an equilateral one turned about its
      centroid, points up.
    resolution: side in pixels.

  Returns:
    [N, resolution, resolution, 1] in [-1, 1], black -1; row 0 is the top.
  """
  chex.assert_shape(factors, (None, len(FACTORS)))
  return jax.vmap(functools.partial(_draw_shape, resolution=resolution))(factors)


def _draw_shape(factors: jax.Array, resolution: int) -> jax.Array:
  kind, x, y, scale, angle = factors
  pixel = 2.0 / resolution
  centres = pixel * (jnp.arange(resolution, dtype=jnp.float32) + 0.5) - 1.0
  right, up = jnp.meshgrid(centres - x, -centres - y)
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  u, v = (cos * right + sin * up) / scale, (cos * up - sin * right) / scale
  which = jnp.broadcast_to(kind.astype(jnp.int32), u.shape)
  distance = scale * jax.lax.select_n(which, _square(u, v), _ellipse(u, v), _triangle(u, v))
  return 2.0 * jnp.clip(0.5 - distance / pixel, 0.0, 1.0)[..., None] - 1.0


# Signed distances at scale 1, negative inside. Outside of a corner those of the polygons are too small (the distance to
# the nearest side's line), which keeps corners sharp.


def _square(u: jax.Array, v: jax.Array) -> jax.Array:
  return jnp.maximum(jnp.abs(u), jnp.abs(v)) - _HALF_SIDE


def _triangle(u: jax.Array, v: jax.Array) -> jax.Array:
  return jnp.maximum(-v, (math.sqrt(3) * jnp.abs(u) + v) / 2) - _INRADIUS


def _ellipse(u: jax.Array, v: jax.Array) -> jax.Array:
  """To first order: F / |grad F| with F = (u/a)^2 + (v/b)^2 - 1, exact on the edge, where alone it counts."""
  a, b = _AXES
  square = jnp.square(u / a**2) + jnp.square(v / b**2)
  # In the middle the gradient vanishes, and F / |grad F| falls without end: still inside.
  return (jnp.square(u / a) + jnp.square(v / b) - 1.0) / (2.0 * jnp.sqrt(jnp.maximum(square, 1e-6)))


def _draw(resolution: int, leaves: Mapping[str, jax.Array], key: jax.Array, n: int) -> dict[str, jax.Array]:
  which, where = jax.random.split(key)
  label = jax.random.randint(which, (n,), 0, len(leaves["kinds"]), jnp.int32)
  rest = jax.random.uniform(where, (n, len(FACTORS) - 1), jnp.float32)
  rest = leaves["low"][None] + (leaves["high"] - leaves["low"])[None] * rest
  factors = jnp.concatenate([leaves["kinds"][label].astype(jnp.float32)[:, None], rest], axis=1)
  return {"x": draw_shapes(factors, resolution), "label": label, "factors": factors}
