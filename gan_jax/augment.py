"""Differentiable augmentation of all that a critic sees: pure functions `(key, images) -> images`. Zhao et al. 2020.

Where data are few a critic learns them by heart. If it sees nothing but T(x) and T(G(z)), with T drawn for each image
and differentiable, so that the generator's gradient passes through it, it has more to see, and the generator still
learns the data: only what T itself could have done to an image goes unpunished. CycleGAN's `augment_y` is T between two
generators, for what the second has to see through.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from gan_jax.errors import ConfigError, nearest

Augment = Callable[[jax.Array, jax.Array], jax.Array]


def differentiable(
  key: jax.Array, images: jax.Array, /, *, policy: Sequence[str] = ("colour", "translation", "cutout")
) -> jax.Array:
  """The functions here that `policy` names, one after the other, each with a key of its own.

  Args:
    key: every image draws from it for itself.
    images: [B, H, W, C], values in [-1, 1]; affine in them, so that any derivative of it is at hand.
    policy: names, in their order; without any, images stay as they are. The paper's for few data is the default.

  Returns:
    [B, H, W, C]; colour may leave [-1, 1].

  Raises:
    ConfigError: if a name is unknown, or the data are no images.
  """
  parts = {part.__name__: part for part in (colour, translation, cutout, affine)}
  for name in policy:
    if name not in parts:
      raise ConfigError(f"policy has {name!r}, which is not known.{nearest(name, parts)}")
  for part_key, name in zip(jax.random.split(key, max(len(policy), 1)), policy):
    images = parts[name](part_key, images)
  return images


def colour(key: jax.Array, images: jax.Array, /) -> jax.Array:
  """Random brightness, saturation and contrast of images [B, H, W, C], in this order.

  Brightness adds up to 0.5 either side, saturation multiplies a pixel's distance from the mean of its channels by up
  to 2, contrast that of every value from the image's mean by 0.5 to 1.5; all of them uniform. With one channel
  saturation does nothing.
  """
  _check(images)
  brightness, saturation, contrast = jax.random.uniform(key, (3, len(images), 1, 1, 1), images.dtype)
  images = images + (brightness - 0.5)
  images = _away_from(images.mean(3, keepdims=True), images, 2.0 * saturation)
  return _away_from(images.mean((1, 2, 3), keepdims=True), images, contrast + 0.5)


def negative(key: jax.Array, images: jax.Array, /) -> jax.Array:
  """Makes each channel of each of the images [B, H, W, C] in [-1, 1] its negative, -x, with probability 1/2.

  A critic that sees nothing else cannot tell images from their negatives: this is for CycleGAN's `augment_y`.
  """
  _check(images)
  negated = jax.random.bernoulli(key, 0.5, (len(images), 1, 1, images.shape[3]))
  return jnp.where(negated, -images, images)


def translation(key: jax.Array, images: jax.Array, /) -> jax.Array:
  """Moves each of the images [B, H, W, C] by whole pixels, up to an eighth of its size to any side; zeros come in."""
  _check(images)
  size = images.shape[1:3]
  most = [int(n / 8 + 0.5) for n in size]
  offsets = jax.random.randint(key, (len(images), 2), 0, jnp.array([[2 * m + 1 for m in most]]))
  padded = jnp.pad(images, ((0, 0), *((m, m) for m in most), (0, 0)))
  window = lambda image, at: lax.dynamic_slice(image, (*at, 0), (*size, image.shape[2]))
  return jax.vmap(window)(padded, offsets)


def cutout(key: jax.Array, images: jax.Array, /) -> jax.Array:
  """Sets a rectangle of half the height and width to zero in each of the images [B, H, W, C].

  Its place is uniform over the image, so that a part of it may fall beyond the border.
  """
  _check(images)
  inside = jnp.ones((len(images), 1, 1), bool)
  for axis, (n, axis_key) in enumerate(zip(images.shape[1:3], jax.random.split(key))):
    side = int(n / 2 + 0.5)
    # Before the border by up to half of it, and as much beyond the other one.
    start = jax.random.randint(axis_key, (len(images), 1), 0, n + 1 - side % 2) - side // 2
    place = jnp.arange(n)[None] - start
    inside &= jnp.expand_dims((place >= 0) & (place < side), 2 - axis)
  return jnp.where(inside[..., None], 0.0, images)


def affine(
  key: jax.Array,
  images: jax.Array,
  /,
  *,
  rotation: float = 15.0,
  scale: float = 0.1,
  shear: float = 0.1,
  shift: float = 0.1,
) -> jax.Array:
  """Turns, scales, shears and moves each of the images [B, H, W, C] by itself. After ADA, Karras et al. 2020.

  Between pixels values are bilinear; what comes in from beyond the border is the nearest pixel's. All draws are
  uniform, the scale's in its logarithm.

  Args:
    key: for the draws.
    images: [B, H, W, C]; linear in them.
    rotation: at most so many degrees to either side.
    scale: by a factor from 1 / (1 + scale) to 1 + scale.
    shear: at most so many pixels across for one up, to either side.
    shift: at most this share of the side, to any side.
  """
  _check(images)
  height, width = images.shape[1:3]
  turn, size, lean, down, across = jax.random.uniform(key, (5, len(images), 1, 1), images.dtype, -1.0, 1.0)
  angle, factor = jnp.deg2rad(rotation) * turn, jnp.exp(jnp.log1p(scale) * size)
  a, b, lean = jnp.cos(angle) / factor, jnp.sin(angle) / factor, shear * lean
  y = (jnp.arange(height, dtype=images.dtype) - 0.5 * (height - 1)).reshape(1, -1, 1)
  x = (jnp.arange(width, dtype=images.dtype) - 0.5 * (width - 1)).reshape(1, 1, -1)
  # From each pixel of what comes out to its place in what goes in: a short way, so that little of it is rounding.
  rows = (a - 1.0) * y + b * (x + lean * y) + shift * height * down
  columns = (a - 1.0) * x + (a * lean - b) * y + shift * width * across
  return jax.vmap(_moved)(images, rows, columns)


def _moved(image: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
  """An image [H, W, C] read bilinearly so many rows and columns, [H, W] each, away from each of its pixels."""
  height, width = image.shape[:2]
  i, j = jnp.floor(rows), jnp.floor(columns)
  of_row, of_column = (rows - i)[..., None], (columns - j)[..., None]
  i = i.astype(jnp.int32) + jnp.arange(height)[:, None]
  j = j.astype(jnp.int32) + jnp.arange(width)[None]
  read = lambda i, j: image[jnp.clip(i, 0, height - 1), jnp.clip(j, 0, width - 1)]
  above, below = ((1.0 - of_column) * read(k, j) + of_column * read(k, j + 1) for k in (i, i + 1))
  return (1.0 - of_row) * above + of_row * below


def _away_from(mean: jax.Array, images: jax.Array, factor: jax.Array) -> jax.Array:
  return mean + factor * (images - mean)


def _check(images: jax.Array) -> None:
  if images.ndim != 4:
    raise ConfigError(f"augmentation is for images [B, H, W, C], and these are {list(images.shape)}")
