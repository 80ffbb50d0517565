"""Discriminators of pairs by hand, in float64: at resolution 8 DCGAN's maps are one leaky convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan_jax.errors import ConfigError
from gan_jax.game import NetSpec
from gan_jax.nets import conditional, dcgan

KEY = jax.random.key(4)
IMAGE, LABEL = (8, 8, 3), (5,)
X = jax.random.normal(KEY, (6, *IMAGE))
C = jax.nn.one_hot(jnp.array([0, 1, 2, 3, 4, 1]), 5)


def leaky(x):
  return np.where(x > 0, x, 0.2 * x)


def made(builder, condition=LABEL, **settings):
  """A net of large weights, its parameters in float64 and what it gives of a pair."""
  net = builder(NetSpec((IMAGE, condition), ()), width=4, **settings)
  params, stats = net.init(KEY)
  params = jax.tree.map(lambda leaf: leaf + 0.3 * jax.random.normal(KEY, leaf.shape), params)
  return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params), lambda *pair: net.apply(params, stats, *pair)[
    0
  ]


def features(x, p):
  window = dict(window_strides=(2, 2), padding="SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
  maps = lax.conv_general_dilated(x, jnp.asarray(p["kernel"], jnp.float32), precision="highest", **window)
  return leaky(np.asarray(maps, np.float64) + p["bias"]).reshape(len(x), -1)


def last_layer(phi, p):
  return phi @ p["kernel"].reshape(-1) + p["bias"]


def test_projection_by_hand():
  """psi(phi(x)) + <V c, phi(x)>."""
  p, score = made(conditional.projection, batch_norm=False)
  phi = features(X, p["Conv_0"])
  v = np.asarray(C) @ p["Dense_0"]["kernel"]
  np.testing.assert_allclose(score(X, C), last_layer(phi, p["Score_0"]) + (v * phi).sum(1), rtol=1e-4, atol=1e-4)


def test_two_parts_by_hand():
  """Realism of the features, and the match of the features with the condition."""
  p, score = made(conditional.two_part, batch_norm=False, features=7)
  f = features(X, p["Conv_0"])
  hidden = leaky(f @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"] + np.asarray(C) @ p["Dense_1"]["kernel"])
  assert hidden.shape == (6, 7)
  r, m = np.split(p["Dense_2"]["kernel"], [f.shape[1]])
  realism, match = last_layer(f, {"kernel": r, "bias": p["Dense_2"]["bias"]}), (hidden @ m)[:, 0]
  np.testing.assert_allclose(score(X, C), realism + match, rtol=1e-4, atol=1e-4)


def test_a_plain_label_is_constant_maps():
  p, score = made(conditional.plain, batch_norm=False)
  maps = jnp.broadcast_to(C[:, None, None], (6, 8, 8, 5))
  own = p["Discriminator_0"]
  expected = last_layer(features(jnp.concatenate([X, maps], -1), own["Conv_0"]), own)
  np.testing.assert_allclose(score(X, C), expected, rtol=1e-4, atol=1e-4)


def test_a_plain_image_is_channels():
  p, score = made(conditional.plain, (8, 8, 2), batch_norm=False)
  c, own = jax.random.normal(jax.random.key(1), (6, 8, 8, 2)), p["Discriminator_0"]
  expected = last_layer(features(jnp.concatenate([X, c], -1), own["Conv_0"]), own)
  np.testing.assert_allclose(score(X, c), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("builder", [conditional.two_part, conditional.projection])
def test_the_trunk_is_dcgans(builder):
  """The same parameters, batch norm included, before the last layer."""
  shapes = lambda net: jax.eval_shape(net.init, KEY)
  pair = shapes(builder(NetSpec(((32, 32, 1), LABEL), ()), width=4))
  alone = shapes(dcgan.discriminator(NetSpec(((32, 32, 1),), ()), width=4))
  trunk = {name: leaves for name, leaves in alone[0].items() if name not in ("kernel", "bias")}
  assert {name: leaves for name, leaves in pair[0].items() if name in trunk} == trunk and pair[1] == alone[1]
  if builder is conditional.two_part:  # whose last layer reads 128 units too
    assert pair[0]["Dense_2"]["kernel"].shape == (np.prod(alone[0]["kernel"].shape) + 128, 1)
    assert pair[0]["Dense_2"]["bias"] == alone[0]["bias"]
  else:
    assert pair[0]["Score_0"] == {name: alone[0][name] for name in ("kernel", "bias")}
  assert len(trunk) == 5


@pytest.mark.parametrize("builder", [conditional.two_part, conditional.projection, conditional.plain])
def test_what_is_no_pair_is_refused(builder):
  for inputs, message in (
    ((IMAGE,), "it takes an image and its condition, and the game gives it 1 inputs"),
    (((2,), LABEL), r"square images \[H, H, C\], and the game asks for \[2\]"),
    ((IMAGE, (4, 4, 1)), r"the condition of its images is \[4, 4, 1\], and it has to be a vector"),
    ((IMAGE, ()), r"the condition of its images is \[\], and it has to be a vector"),
  ):
    with pytest.raises(ConfigError, match=message):
      builder(NetSpec(inputs, ()))


def test_images_as_conditions_are_for_the_plain_form():
  for builder in (conditional.two_part, conditional.projection):
    with pytest.raises(ConfigError, match="conditional.plain takes images too"):
      builder(NetSpec((IMAGE, IMAGE), ()))
