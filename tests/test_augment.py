"""Differentiable augmentation: what it does to an image, by hand; and that it is linear in images and of each alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import augment
from gan_jax.errors import ConfigError

KEY = jax.random.key(4)
POLICY = ("colour", "translation", "cutout")
NAMES = (*POLICY, "negative")
PARTS = {name: getattr(augment, name) for name in NAMES}


def images(n=6, size=(8, 16), channels=3, seed=1):
  return jax.random.uniform(jax.random.key(seed), (n, *size, channels), minval=-1.0)


def test_an_impulse_moves_by_whole_pixels_up_to_an_eighth_and_zeros_come_in():
  """Of 16x32 images the impulse at (8, 16) goes to each of the 5x9 places around it equally often, and stays whole."""
  n = 9_000
  x = jnp.zeros((n, 16, 32, 1)).at[:, 8, 16].set(1.0)
  moved = np.asarray(jax.jit(augment.translation)(KEY, x))
  assert (moved.sum((1, 2, 3)) == 1.0).all()
  share = moved.mean(0)[..., 0]
  expected = np.zeros((16, 32))
  expected[6:11, 12:21] = 1 / 45
  np.testing.assert_allclose(share, expected, atol=5 * np.sqrt(1 / 45 / n))
  assert (share[expected > 0] > 0).all()


def test_a_translated_image_is_the_image_and_zeros():
  x = images(40, (8, 8))
  for image, moved in zip(np.asarray(x), np.asarray(augment.translation(KEY, x))):
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    assert any((padded[i : i + 8, j : j + 8] == moved).all() for i in range(3) for j in range(3))


@pytest.mark.parametrize(("size", "sides"), [((16, 32), (8, 16)), ((9, 6), (5, 3))])
def test_a_cutout_is_one_rectangle_of_half_the_sides_about_a_uniform_place(size, sides):
  """Its middle, half of the sides from the border at least for it to be whole, is anywhere in the image."""
  n = 4_000
  cut = np.asarray(jax.jit(augment.cutout)(KEY, jnp.ones((n, *size, 2)))) == 0.0
  assert (cut[..., 0] == cut[..., 1]).all()
  lengths = []
  for axis, (length, side) in enumerate(zip(size, sides)):
    line = cut[..., 0].any(2 - axis)  # [n, length]
    counts = line.sum(1)
    first, last = line.argmax(1), length - 1 - line[:, ::-1].argmax(1)
    assert (last - first + 1 == counts).all()  # without a hole
    # A start of -(side // 2) + k for each of the length + 1 - side % 2 places k, cropped by the border.
    starts = np.arange(length + 1 - side % 2) - side // 2
    expected = np.minimum(starts + side, length) - np.maximum(starts, 0)
    assert counts.max() == side and counts.min() >= side // 2
    np.testing.assert_allclose(counts.mean(), expected.mean(), atol=5 * expected.std() / np.sqrt(n))
    lengths.append(counts)
  np.testing.assert_array_equal(cut[..., 0].sum((1, 2)), lengths[0] * lengths[1])
  assert abs(np.corrcoef(*lengths)[0, 1]) < 0.08


def test_colour_in_closed_form():
  """With b, s, c uniform in [-0.5, 0.5], [0, 2], [0.5, 1.5]: x + b, then s about the pixel's mean, then c about the
  image's; in float64."""
  x = np.asarray(images(2_000, (2, 2)), np.float64)
  y = np.asarray(augment.colour(KEY, jnp.asarray(x, jnp.float32)), np.float64)
  brightness = (y - x).mean((1, 2, 3))  # contrast and saturation keep the image's mean
  grey, grey_before = (a.mean(3) - a.mean((1, 2, 3))[:, None, None] for a in (y, x))
  contrast = (grey * grey_before).sum((1, 2)) / (grey_before**2).sum((1, 2))
  hue, hue_before = (a - a.mean(3, keepdims=True) for a in (y, x))
  saturation = (hue * hue_before).sum((1, 2, 3)) / (hue_before**2).sum((1, 2, 3)) / contrast
  each = lambda a: a[:, None, None, None]
  mean = x.mean((1, 2, 3), keepdims=True) + each(brightness)
  pixel = x.mean(3, keepdims=True) + each(brightness)
  expected = mean + each(contrast) * (pixel - mean + each(saturation) * hue_before)
  np.testing.assert_allclose(y, expected, atol=1e-5)
  for value, low, high in ((brightness, -0.5, 0.5), (saturation, 0.0, 2.0), (contrast, 0.5, 1.5)):
    assert low - 1e-4 < value.min() and value.max() < high + 1e-4
    np.testing.assert_allclose(
      [value.mean(), value.std()], [(low + high) / 2, (high - low) / 12**0.5], rtol=0.06, atol=0.04
    )
  assert np.abs(np.corrcoef([brightness, saturation, contrast]) - np.eye(3)).max() < 0.1


def test_of_one_channel_saturation_is_the_identity():
  """What is left is a line, x -> c x + d, of each image."""
  x = images(50, channels=1)
  y = augment.colour(KEY, x)
  for image, changed in zip(np.asarray(x, np.float64), np.asarray(y, np.float64)):
    slope, offset = np.polyfit(image.ravel(), changed.ravel(), 1)
    np.testing.assert_allclose(changed, slope * image + offset, atol=1e-5)
    assert 0.5 - 1e-4 < slope < 1.5 + 1e-4


def test_a_negative_is_of_a_channel_as_a_whole_and_as_often_as_not():
  x = images(3_000, (2, 4))
  signs = np.asarray(augment.negative(KEY, x)) / np.asarray(x)
  assert (signs == signs[:, :1, :1]).all() and set(np.unique(signs)) == {-1.0, 1.0}
  channels = signs[:, 0, 0]
  np.testing.assert_allclose(channels.mean(0), 0.0, atol=5 / 3_000**0.5)
  np.testing.assert_allclose(np.corrcoef(channels.T), np.eye(3), atol=5 / 3_000**0.5)


@pytest.mark.parametrize("name", NAMES)
def test_every_image_draws_for_itself_and_sees_no_other(name):
  """Copies of one image become different ones; another neighbour changes nothing."""
  x = images(1).repeat(12, 0)
  y = PARTS[name](KEY, x)
  assert len(np.unique(np.asarray(y).reshape(12, -1), axis=0)) > 5
  others = x.at[1:].set(images(11, seed=2))
  np.testing.assert_array_equal(PARTS[name](KEY, others)[0], y[0])


def test_a_policy_is_its_parts_in_order_with_keys_of_their_own():
  x = images()
  for policy in (POLICY, ("cutout", "colour"), ("translation", "translation")):
    expected = x
    for key, name in zip(jax.random.split(KEY, len(policy)), policy):
      expected = PARTS[name](key, expected)
    np.testing.assert_array_equal(augment.differentiable(KEY, x, policy=policy), expected)
  np.testing.assert_array_equal(augment.differentiable(KEY, x, policy=()), x)


def test_gradients_are_those_of_central_differences():
  """Of a quadratic function, whose central differences are exact, in float64; and it is affine in the images."""
  with jax.enable_x64(True):
    x = jax.random.normal(KEY, (2, 8, 8, 3), jnp.float64)
    weights = jax.random.normal(jax.random.key(1), x.shape, jnp.float64)
    f = jax.jit(lambda x: jnp.sum(weights * jnp.square(augment.differentiable(KEY, x))))
    gradient = jax.jit(jax.grad(f))(x)
    for seed in range(5):
      direction = jax.random.normal(jax.random.key(10 + seed), x.shape, jnp.float64)
      slope = (f(x + 1e-3 * direction) - f(x - 1e-3 * direction)) / 2e-3
      np.testing.assert_allclose(jnp.vdot(gradient, direction), slope, rtol=1e-8)
    through = functools.partial(augment.differentiable, KEY)
    a, b, zero = through(x), through(2.0 * x), through(jnp.zeros_like(x))
    np.testing.assert_allclose(b - zero, 2.0 * (a - zero), atol=1e-12)


def test_refusals():
  with pytest.raises(ConfigError, match="policy has 'color', which is not known. Did you mean 'colour'"):
    augment.differentiable(KEY, images(), policy=("color",))
  for name in NAMES:
    with pytest.raises(ConfigError, match=r"is for images \[B, H, W, C\], and these are \[5, 2\]"):
      PARTS[name](KEY, jnp.zeros((5, 2)))


def ramp(n=2, side=8):
  """Values that rise linearly across and down: a bilinear reading of them is exact."""
  y, x = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
  return np.tile((0.05 * y - 0.1 * x)[None, ..., None], (n, 1, 1, 1)).astype(np.float32)


@pytest.mark.parametrize("only", ["rotation", "scale", "shear", "shift"])
def test_affine_by_hand(only):
  """One kind at a time, on a ramp: each pixel has the value of the place that it came from, inside of the border."""
  most = {"rotation": 20.0, "scale": 0.3, "shear": 0.4, "shift": 0.1}
  settings = dict.fromkeys(most, 0.0) | {only: most[only]}
  images = ramp(5)
  found = np.asarray(augment.affine(KEY, jnp.asarray(images), **settings))
  turn, size, lean, down, across = np.asarray(jax.random.uniform(KEY, (5, 5, 1, 1), minval=-1.0, maxval=1.0))
  y, x = np.meshgrid(np.arange(8) - 3.5, np.arange(8) - 3.5, indexing="ij")
  y, x = y[None], x[None] + settings["shear"] * lean * y[None]
  angle, factor = np.deg2rad(settings["rotation"]) * turn, (1.0 + settings["scale"]) ** size
  rows = (np.cos(angle) * y + np.sin(angle) * x) / factor + settings["shift"] * 8 * down
  columns = (np.cos(angle) * x - np.sin(angle) * y) / factor + settings["shift"] * 8 * across
  inside = np.broadcast_to((abs(rows) <= 3.5) & (abs(columns) <= 3.5), (5, 8, 8))
  truth = np.broadcast_to(0.05 * (rows + 3.5) - 0.1 * (columns + 3.5), (5, 8, 8))
  np.testing.assert_allclose(found[..., 0][inside], truth[inside], atol=1e-5)
  assert inside.mean() > 0.5 and not np.allclose(found, images, atol=1e-2)
  assert len({float(each) for each in found[:, 2, 2, 0]}) == 5  # each image has draws of its own


def test_affine_of_nothing_is_nothing_and_the_border_goes_on():
  images = jax.random.uniform(KEY, (3, 6, 6, 2), minval=-1.0)
  still = augment.affine(KEY, images, rotation=0.0, scale=0.0, shear=0.0, shift=0.0)
  np.testing.assert_allclose(still, images, atol=1e-6)
  dark = augment.affine(KEY, jnp.full((3, 6, 6, 1), -1.0), shift=0.5)
  np.testing.assert_allclose(dark, -1.0, atol=1e-6)
