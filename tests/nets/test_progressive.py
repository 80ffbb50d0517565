"""Progressive growing's layers and networks against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import ConfigError
from gan_jax.game import NetSpec
from gan_jax.nets import progressive
from gan_jax.nets.progressive import ScaledConv, ScaledDense, minibatch_deviation, pixel_norm

KEY = jax.random.key(2)
LRELU = lambda x: np.where(x > 0, x, 0.2 * x)
UP = lambda x: x.repeat(2, 1).repeat(2, 2)
DOWN = lambda x: (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
UNIT = lambda x: x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-8)


def double(tree):
  return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def dense(p, x, gain=2**0.5):
  return x @ (p["kernel"] * gain / np.sqrt(x.shape[-1])) + p["bias"]


def conv(p, x, gain=2**0.5):
  windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), (1, 2))
  return np.einsum("bhwcij,ijco->bhwo", windows, p["kernel"]) * gain / np.sqrt(9 * x.shape[-1]) + p["bias"]


def deviation(x, groups):
  """The map of `minibatch_deviation`, of the groups that are listed."""
  maps = np.empty((*x.shape[:3], 1))
  for group in groups:
    members = x[group]
    maps[group] = np.sqrt(((members - members.mean(0)) ** 2).mean(0) + 1e-8).mean()
  return maps


@pytest.mark.parametrize("fan_in", [3, 40, 700])
@pytest.mark.parametrize("gain", [1.0, 2**0.5])
def test_outputs_of_scaled_layers_have_the_variance_of_their_gain_whatever_the_fan_in(fan_in, gain):
  """The stored weights are N(0, 1)."""
  vectors = jax.random.normal(KEY, (2_000, fan_in))
  images = jax.random.normal(KEY, (max(4, 400 // fan_in), 10, 10, fan_in))
  for layer, x, inner in (
    (ScaledDense(50, gain), vectors, np.s_[:]),
    (ScaledConv(80, gain), images, np.s_[:, 1:9, 1:9]),
  ):
    params = layer.init(KEY, x)["params"]
    np.testing.assert_allclose(np.square(params["kernel"]).mean(), 1.0, rtol=0.2)
    assert not params["bias"].any()
    y = layer.apply({"params": params}, x)[inner]
    np.testing.assert_allclose(np.square(y).mean() / np.square(params["kernel"]).mean(), gain**2, rtol=0.1)


def test_pixel_norm_is_that_of_numpy_down_to_its_epsilon():
  x = np.random.default_rng(0).normal(size=(2, 3, 3, 5)) * np.array([1.0, 1e-4]).reshape(2, 1, 1, 1)
  np.testing.assert_allclose(pixel_norm(jnp.asarray(x, jnp.float32)), UNIT(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
  ("batch", "groups"),
  [
    (8, [[0, 2, 4, 6], [1, 3, 5, 7]]),
    (4, [[0, 1, 2, 3]]),
    (5, [[0, 2, 4], [1, 3]]),
    (9, [[0, 3, 6], [1, 4, 7], [2, 5, 8]]),
    (3, [[0, 1, 2]]),
    (1, [[0]]),
  ],
)
def test_minibatch_deviation_is_that_of_numpy_in_groups_of_four_or_nearly(batch, groups):
  x = np.random.default_rng(1).normal(size=(batch, 4, 4, 3)) * np.arange(1, batch + 1).reshape(-1, 1, 1, 1)
  found = minibatch_deviation(jnp.asarray(x, jnp.float32))
  np.testing.assert_allclose(found, deviation(x, groups), rtol=1e-5)


def test_minibatch_deviation_of_equal_examples_has_a_gradient():
  x = jnp.ones((6, 2, 2, 3))
  np.testing.assert_allclose(minibatch_deviation(x), 1e-4, rtol=1e-5)
  np.testing.assert_array_equal(jax.grad(lambda x: minibatch_deviation(x).sum())(x), 0.0)


ALPHA = np.array([0.0, 0.25, 1.0, 0.5, 0.75])


def started(net):
  """Its parameters with biases that are not zero."""
  params, stats = net.init(KEY)
  assert stats == {}
  return jax.tree.map(lambda p: p if p.ndim > 1 else p + jnp.arange(1.0, 1.0 + len(p)) / 10, params)


@pytest.mark.parametrize("resolution", [4, 16])
def test_the_generator_is_the_left_half_of_table_2(resolution):
  z = np.random.default_rng(2).normal(size=(5, 6))
  spec = NetSpec(((6,), ()), (resolution, resolution, 2))
  net = progressive.generator(spec, width=5, halve_above=8)
  params = started(net)
  p = double(params)
  x = UNIT(LRELU(dense(p["dense_4"], UNIT(z), 2**0.5 / 4).reshape(5, 4, 4, 5)))
  x = UNIT(LRELU(conv(p["conv_4"], x)))
  images = dense(p[f"to_rgb_{4 if resolution == 4 else 8}"], x, 1.0) if resolution == 4 else None
  for size in (8, 16) if resolution == 16 else ():
    smaller, x = x, UP(x)
    for i in range(2):
      x = UNIT(LRELU(conv(p[f"conv_{size}_{i}"], x)))
    if size == 16:
      a = ALPHA.reshape(5, 1, 1, 1)
      images = (1 - a) * UP(dense(p["to_rgb_8"], smaller, 1.0)) + a * dense(p["to_rgb_16"], x, 1.0)
  found, _ = net.apply(params, {}, *(jnp.asarray(v, jnp.float32) for v in (z, ALPHA)))
  np.testing.assert_allclose(found, images, rtol=1e-4, atol=1e-4)
  widths = {"to_rgb_4": 5} if resolution == 4 else {"to_rgb_8": 5, "to_rgb_16": 2}
  assert {name: layer["kernel"].shape[0] for name, layer in params.items() if "rgb" in name} == widths


@pytest.mark.parametrize("resolution", [4, 16])
def test_the_critic_is_the_right_half_of_table_2(resolution):
  images = np.random.default_rng(3).normal(size=(5, resolution, resolution, 2))
  net = progressive.critic(NetSpec(((resolution, resolution, 2), ()), ()), width=5, halve_above=8)
  params = started(net)
  p = double(params)
  x = LRELU(dense(p[f"from_rgb_{resolution}"], images))
  for size in (16, 8) if resolution == 16 else ():
    for i in range(2):
      x = LRELU(conv(p[f"conv_{size}_{i}"], x))
    x = DOWN(x)
    if size == 16:
      a = ALPHA.reshape(5, 1, 1, 1)
      x = (1 - a) * LRELU(dense(p["from_rgb_8"], DOWN(images))) + a * x
  x = np.concatenate([x, deviation(x, [[0, 2, 4], [1, 3]])], -1)
  x = LRELU(conv(p["conv_4"], x))
  x = LRELU(dense(p["dense_4"], x.reshape(5, -1)))
  found, _ = net.apply(params, {}, *(jnp.asarray(v, jnp.float32) for v in (images, ALPHA)))
  np.testing.assert_allclose(found, dense(p["score"], x, 1.0)[:, 0], rtol=1e-4, atol=1e-5)
  assert net.features is not None
  np.testing.assert_allclose(
    net.features(params, {}, *(jnp.asarray(v, jnp.float32) for v in (images, ALPHA))), x, rtol=1e-4, atol=1e-5
  )


def test_widths_are_the_papers():
  """512 channels up to 32x32, then half as many at each doubling, 16 at 1024x1024."""
  net = progressive.generator(NetSpec(((512,), ()), (1024, 1024, 3)), width=512, halve_above=32)
  params, _ = jax.eval_shape(net.init, KEY)
  widths = {size: params[f"conv_{size}_1"]["kernel"].shape[-1] for size in (8, 16, 32, 64, 128, 256, 512, 1024)}
  assert list(widths.values()) == [512, 512, 512, 256, 128, 64, 32, 16]
  critic = progressive.critic(NetSpec(((1024, 1024, 3), ()), ()), width=512, halve_above=32)
  for each in (params, jax.eval_shape(critic.init, KEY)[0]):  # 23.1 million parameters, once the fade is over
    in_use = {name: layer for name, layer in each.items() if not name.endswith("rgb_512")}
    assert round(sum(leaf.size for leaf in jax.tree.leaves(in_use)), -5) == 23_100_000


@pytest.mark.parametrize(
  ("builder", "spec", "settings", "message"),
  [
    (progressive.generator, NetSpec(((5,),), (8, 8, 1)), {}, r"it takes a latent and alpha, .* gives it \[\[5\]\]"),
    (progressive.critic, NetSpec(((8, 8, 1),), ()), {}, r"it takes images and alpha, .* gives it \[\[8, 8, 1\]\]"),
    (progressive.critic, NetSpec(((8, 4, 1), ()), ()), {}, "it works on square images"),
    (progressive.generator, NetSpec(((5,), ()), (12, 12, 1)), {}, "4, 8, 16 and so on, and the game asks for 12"),
    (progressive.critic, NetSpec(((2, 2, 1), ()), ()), {}, "4, 8, 16 and so on, and the game asks for 2"),
    (progressive.critic, NetSpec(((8, 8, 1), ()), ()), {"width": 0}, "width is 0; it has to be at least 1"),
    (progressive.generator, NetSpec(((5,), ()), (8, 8, 1)), {"halve_above": 0}, "halve_above is 0"),
  ],
)
def test_what_does_not_fit_is_refused(builder, spec, settings, message):
  with pytest.raises(ConfigError, match=message):
    builder(spec, **settings)
