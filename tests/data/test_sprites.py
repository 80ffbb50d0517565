"""Sprites: areas, centres and second moments in closed form, pictures by hand, and the factors that come along."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.data.dataset import decode
from gan_jax.data.sprites import FACTORS, KINDS, draw_shapes, sprites

SIDE = np.sqrt(0.4)  # of the square at scale 1


def picture(kind, x=0.0, y=0.0, scale=1.0, angle=0.0, resolution=256):
  """Whiteness in [0, 1], [resolution, resolution] in float64."""
  factors = jnp.array([[KINDS.index(kind), x, y, scale, angle]], jnp.float32)
  return (np.asarray(draw_shapes(factors, resolution)[0, :, :, 0], np.float64) + 1) / 2


def moments(white):
  """Area, centre (x, y) and covariance of a picture of [-1, 1]^2 whose row 0 is the top."""
  n = len(white)
  centres = (2 * np.arange(n) + 1) / n - 1
  points = np.stack([np.tile(centres, (n, 1)), np.tile(-centres[:, None], (1, n))], axis=-1).reshape(-1, 2)
  share = white.ravel() / white.sum()
  mean = share @ points
  return white.sum() * 4 / n**2, mean, (points - mean).T @ ((points - mean) * share[:, None])


def turned(angle, along, across):
  """The covariance of a shape with these variances along its own two axes."""
  turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
  return turn @ np.diag([along, across]) @ turn.T


# Variance along the shape's axes at scale 1: side^2 / 12; a^2 / 4 with pi a b = 0.4 and a = 2 b; side^2 / 24 with
# sqrt(3) side^2 / 4 = 0.4.
SPREAD = {
  "square": (0.4 / 12, 0.4 / 12),
  "ellipse": (0.8 / np.pi / 4, 0.2 / np.pi / 4),
  "triangle": (1.6 / np.sqrt(3) / 24, 1.6 / np.sqrt(3) / 24),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("x, y, scale, angle", [(0.0, 0.0, 1.0, 0.0), (0.31, -0.22, 0.6, 0.5), (-0.4, 0.4, 0.9, 1.4)])
def test_area_centre_and_spread(kind, x, y, scale, angle):
  area, centre, covariance = moments(picture(kind, x, y, scale, angle))
  np.testing.assert_allclose(area, 0.4 * scale**2, rtol=3e-3)
  np.testing.assert_allclose(centre, [x, y], atol=2e-4)
  along, across = SPREAD[kind]
  np.testing.assert_allclose(covariance, scale**2 * turned(angle, along, across), atol=1e-4 * scale**2 + 2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_small_pictures_keep_area_and_centre(kind):
  """Edges are grey to the right degree: at 32 pixels the area is right to 3.5%, the centre to a twelfth of a pixel."""
  for scale, angle in [(0.5, 0.3), (0.7, 0.0), (1.0, 1.1)]:
    for shift in (0.0, 0.013, 0.04):
      area, centre, _ = moments(picture(kind, shift, -shift, scale, angle, resolution=32))
      np.testing.assert_allclose(area, 0.4 * scale**2, rtol=0.035)
      np.testing.assert_allclose(centre, [shift, -shift], atol=0.08 * 2 / 32)


def test_squares_by_hand():
  """Half a unit to each side: 4 x 4 of 8 x 8 pixels; moved by half a pixel, two columns are half white."""
  white = picture("square", scale=1.0 / SIDE, resolution=8)
  expected = np.zeros((8, 8))
  expected[2:6, 2:6] = 1.0
  np.testing.assert_allclose(white, expected, atol=1e-5)
  moved = picture("square", x=0.125, scale=1.0 / SIDE, resolution=8)
  np.testing.assert_allclose(moved, np.outer([0, 0, 1, 1, 1, 1, 0, 0], [0, 0, 0.5, 1, 1, 1, 0.5, 0]), atol=1e-5)
  raised = picture("square", y=0.25, scale=1.0 / SIDE, resolution=8)
  np.testing.assert_allclose(raised, np.roll(expected, -1, axis=0), atol=1e-5)


def test_which_way_up():
  """The triangle stands on its base, the ellipse lies and rises to the right when it is turned."""
  widths = picture("triangle").sum(1)
  base = 256 / 2 * np.sqrt(1.6 / np.sqrt(3))
  rows = np.flatnonzero(widths > 0)
  np.testing.assert_allclose(widths[rows[-2]], base, atol=3)
  np.testing.assert_allclose(len(rows), base * np.sqrt(3) / 2, atol=3)
  assert widths[rows[0]] < 2 and (np.diff(widths[rows[:-2]]) > 0).all()
  lying = picture("ellipse")
  length, height = (lying.max(0) > 0.5).sum(), (lying.max(1) > 0.5).sum()
  np.testing.assert_allclose([length, height], 128 * 2 * np.array([2, 1]) * np.sqrt(0.2 / np.pi), atol=2)
  right_up = picture("ellipse", angle=0.5)[:128, 128:].sum()
  assert right_up > 2 * picture("ellipse", angle=-0.5)[:128, 128:].sum()


@pytest.mark.parametrize("kind, turn", [("square", np.pi / 2), ("triangle", 2 * np.pi / 3), ("ellipse", np.pi)])
def test_symmetries(kind, turn):
  """A full symmetry brings the same picture back, and nothing less does."""
  start = picture(kind, 0.1, 0.2, 0.8, 0.3, resolution=64)
  np.testing.assert_allclose(picture(kind, 0.1, 0.2, 0.8, 0.3 + turn, resolution=64), start, atol=1e-4)
  for part in (0.25, 0.5, 0.75):
    assert np.abs(picture(kind, 0.1, 0.2, 0.8, 0.3 + part * turn, resolution=64) - start).sum() > 10


def test_inside_is_white_and_outside_black():
  """Only about an edge's length of pixels is grey, and the middle of an ellipse has no hole."""
  for kind in KINDS:
    for scale in (0.05, 0.5, 1.0):
      white = picture(kind, scale=scale)
      grey = ((white > 0) & (white < 1)).sum()
      assert 0 < grey < 6 * SIDE * scale * 128 + 16
      assert white[127:129, 127:129].min() == 1.0 and white[0].max() == 0.0


def test_gradients_reach_the_factors():
  """Of the white area: 0.8 scale by the scale, nothing by place and angle; never NaN, not even in the very middle."""

  def area(factors):
    return jnp.sum((draw_shapes(factors[None], 255) + 1) / 2) * 4 / 255**2

  for kind in range(3):
    gradient = jax.jit(jax.grad(area))(jnp.array([kind, 0.0, 0.0, 0.7, 0.2]))
    np.testing.assert_allclose(gradient[3], 0.8 * 0.7, rtol=0.04)
    np.testing.assert_allclose(gradient[jnp.array([1, 2, 4])], 0.0, atol=0.05)
    # The only pixel's centre is the shape's, where an ellipse's distance has no gradient.
    middle = jax.grad(lambda factors: draw_shapes(factors[None], 1).sum())(jnp.array([kind, 0.0, 0.0, 0.7, 0.2]))
    assert np.isfinite(middle).all()


def test_what_comes_along():
  dataset = sprites()
  batch = dataset.draw(jax.random.key(0), 5)
  assert (dataset.name, dataset.shape, dataset.classes, dataset.size) == ("sprites", (32, 32, 1), 3, None)
  assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
    "x": ((5, 32, 32, 1), jnp.float32),
    "label": ((5,), jnp.int32),
    "factors": ((5, len(FACTORS)), jnp.float32),
  }
  np.testing.assert_array_equal(batch["label"], batch["factors"][:, 0])
  np.testing.assert_allclose(batch["x"], draw_shapes(batch["factors"], 32), atol=1e-5)
  assert sprites(resolution=64).draw(jax.random.key(0), 2)["x"].shape == (2, 64, 64, 1)


def test_factors_are_uniform_and_independent():
  n = 40_000
  dataset = sprites(resolution=1, x=(-0.5, 0.1), y=(0.2, 0.3), scale=(0.4, 0.8), angle=(-1.0, 2.0))
  factors = np.asarray(dataset.draw(jax.random.key(1), n)["factors"], np.float64)
  low, high = np.array([-0.5, 0.2, 0.4, -1.0]), np.array([0.1, 0.3, 0.8, 2.0])
  assert (np.abs(np.bincount(factors[:, 0].astype(int)) / n - 1 / 3) < 0.012).all()
  unit = (factors[:, 1:] - low) / (high - low)
  for column in unit.T:
    np.testing.assert_allclose(np.quantile(column, [0, 0.1, 0.5, 0.9, 1]), [0, 0.1, 0.5, 0.9, 1], atol=0.012)
  np.testing.assert_allclose(np.corrcoef(factors.T), np.eye(5), atol=0.03)


def test_no_shape_is_cut_off_by_default():
  """The farthest corner is a triangle's, 0.555 from its centre: all four edges stay black but for a corner's grey."""
  x = np.asarray(sprites().draw(jax.random.key(2), 4000)["x"])
  edge = np.concatenate([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]])
  assert edge.max() < -0.5 and (edge > -1).mean() < 1e-4


def test_factors_can_be_held():
  still = {"x": (0.1, 0.1), "y": (0.0, 0.0), "scale": (1, 1), "angle": (0.0, 0.0)}
  dataset = sprites(kinds=("triangle",), **still)
  batch = dataset.draw(jax.random.key(3), 6)
  np.testing.assert_array_equal(batch["factors"], np.tile(np.float32([2, 0.1, 0, 1, 0]), (6, 1)))
  np.testing.assert_array_equal(batch["label"], 0)
  assert dataset.classes == 1
  np.testing.assert_array_equal(batch["x"], np.broadcast_to(batch["x"][:1], batch["x"].shape))
  pair = sprites(kinds=["triangle", "square"]).draw(jax.random.key(4), 50)
  np.testing.assert_array_equal(pair["factors"][:, 0], np.array([2, 0])[pair["label"]])
  assert set(pair["label"].tolist()) == {0, 1}


def test_held_out_pictures():
  dataset, again = sprites(), sprites()
  x, factors = dataset.test["x"], dataset.test["factors"]
  assert x.shape == (2000, 32, 32, 1) and x.dtype == np.uint8 and factors.shape == (2000, 5)
  assert all(isinstance(value, np.ndarray) for value in dataset.test.values())
  np.testing.assert_array_equal(x, again.test["x"])
  np.testing.assert_array_equal(dataset.test["label"], factors[:, 0])
  assert np.abs(np.bincount(dataset.test["label"]) / 2000 - 1 / 3).max() < 0.05
  decoded = decode({"x": jnp.asarray(x)})["x"]
  np.testing.assert_allclose(decoded, draw_shapes(jnp.asarray(factors), 32), atol=1.01 / 255)
  drawn = np.asarray(dataset.draw(jax.random.key(0), 2000)["factors"])
  assert not np.isin(drawn[:, 1], factors[:, 1]).all()


def test_draw_is_pure_and_its_arrays_are_leaves():
  dataset = sprites()
  keys = jax.random.split(jax.random.key(5), 3)
  draw = lambda key: dataset.draw(key, 8)
  _, scanned = jax.lax.scan(lambda carry, key: (carry, draw(key)), 0, keys)
  batched = jax.jit(jax.vmap(draw))(keys)
  for i in range(3):
    for name, value in draw(keys[i]).items():
      np.testing.assert_allclose(scanned[name][i], value, atol=2e-5)
      np.testing.assert_allclose(batched[name][i], value, atol=2e-5)
  assert not np.array_equal(batched["factors"][0], batched["factors"][1])
  program = jax.make_jaxpr(lambda draw, key: draw(key, 4))(dataset.draw, keys[0])
  assert len(program.jaxpr.invars) == len(jax.tree.leaves(dataset.draw)) + 1 and not program.consts


@pytest.mark.parametrize(
  "arguments, message",
  [
    (dict(resolution=0), "resolution is 0; it has to be at least 1"),
    (dict(kinds=("square", "heart")), "kinds is .*heart.*; sprites draws different ones of square, ellipse, triangle"),
    (dict(kinds=()), r"kinds is \[\]"),
    (dict(kinds=("square", "square")), "different ones"),
    (dict(x=(0.4, -0.4)), r"x is \(0.4, -0.4\); it has to be two finite numbers, the lowest and the highest"),
    (dict(angle=(0.0, float("inf"))), "angle is .* finite"),
    (dict(y=(float("nan"), 0.0)), "y is .* finite"),
    (dict(scale=(0.0, 1.0)), "it has to be above 0"),
  ],
)
def test_refusals(arguments, message):
  with pytest.raises(ValueError, match=message):
    sprites(**arguments)


def test_shapes_are_checked():
  with pytest.raises(AssertionError):
    draw_shapes(jnp.zeros((3, 4)), 32)
