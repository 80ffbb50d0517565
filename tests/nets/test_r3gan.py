"""R3GAN's networks by their paper: fix-up's start, the fixed filter, and both nets layer by layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan_jax.errors import ConfigError
from gan_jax.game import NetSpec
from gan_jax.nets import r3gan

KEY = jax.random.key(8)
IMAGE = (16, 16, 3)
GAIN = np.sqrt(2 / 1.04)


def normal(seed, shape):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def randomised(params):
  leaves, tree = jax.tree.flatten(params)
  return jax.tree.unflatten(tree, [0.3 * normal(i, leaf.shape) for i, leaf in enumerate(leaves)])


def leaky(x):
  return np.where(x > 0, x, 0.2 * x)


def block_by_hand(params, x, groups):
  """In float64; the grouped convolution as lax has it."""
  with jax.enable_x64(True):
    w1, w2, w3 = (jnp.asarray(params[name]["kernel"], jnp.float64) for name in ("Dense_0", "GroupedConv_0", "Dense_1"))
    b1, b2 = (jnp.asarray(params[name]["bias"], jnp.float64) for name in ("Dense_0", "GroupedConv_0"))
    y = jnp.asarray(leaky(np.asarray(x, np.float64) @ np.asarray(w1) + np.asarray(b1)))
    layouts = ("NHWC", "HWIO", "NHWC")
    y = lax.conv_general_dilated(y, w2, (1, 1), "SAME", dimension_numbers=layouts, feature_group_count=groups)
    return np.asarray(x, np.float64) + leaky(np.asarray(y) + np.asarray(b2)) @ np.asarray(w3)


@pytest.mark.parametrize(("group", "groups"), [(4, 3), (12, 1), (16, 1)])
def test_a_block_by_hand(group, groups):
  """6 channels become 12, in groups of 4, or in one where there are no more; no bias after the last layer."""
  block, x = r3gan.ResidualBlock(2, group), normal(0, (2, 5, 4, 6))
  params = randomised(block.init(KEY, x)["params"])
  shapes = {name: {k: p.shape for k, p in layer.items()} for name, layer in params.items()}
  assert shapes == {
    "Dense_0": {"kernel": (6, 12), "bias": (12,)},
    "GroupedConv_0": {"kernel": (3, 3, 12 // groups, 12), "bias": (12,)},
    "Dense_1": {"kernel": (12, 6)},
  }
  np.testing.assert_allclose(block.apply({"params": params}, x), block_by_hand(params, x, groups), atol=1e-4)


def test_a_block_starts_as_the_identity_and_learns_through_its_zero_layer_first():
  """The gradient in W3 is that of the closed form, and those in the layers behind it are zero."""
  block, x = r3gan.ResidualBlock(4), normal(1, (2, 4, 4, 16))
  params = block.init(KEY, x)["params"]
  np.testing.assert_array_equal(block.apply({"params": params}, x), x)
  c = normal(2, x.shape)
  gradient = jax.grad(lambda params: jnp.sum(c * block.apply({"params": params}, x)))(params)
  # <c, y W3> has the gradient y^T c; y is what the block gives beside x when W3 is the identity.
  eye = [block_by_hand({**params, "Dense_1": {"kernel": np.eye(32, 16, -16 * i)}}, x, 2) - x for i in range(2)]
  y = np.concatenate(eye, -1).reshape(-1, 32)
  np.testing.assert_allclose(gradient["Dense_1"]["kernel"], y.T @ np.asarray(c).reshape(-1, 16), rtol=1e-3, atol=1e-4)
  assert np.abs(y).mean() > 0.1
  for name in ("Dense_0", "GroupedConv_0"):
    assert all((leaf == 0.0).all() for leaf in jax.tree.leaves(gradient[name]))


def test_initial_weights():
  """Of m = 3 layers and L blocks the gain is the activation's times L^(-1/4); W3 is zero, all that is outside has 1."""
  spec = NetSpec(((64,),), (16, 16, 3))
  params, _ = jax.jit(r3gan.generator(spec, width=64, widest=64, blocks=2).init)(KEY)
  blocks = 2 * 3
  assert sum("ResidualBlock" in name for name in params) == blocks

  def has(kernel, variance):
    np.testing.assert_allclose(kernel.var(), variance, rtol=8 / np.sqrt(kernel.size))
    np.testing.assert_allclose(kernel.mean(), 0.0, atol=5 * np.sqrt(variance / kernel.size))
    assert np.abs(kernel).max() > 2.5 * np.sqrt(variance) or kernel.size < 500  # normal, not cut off

  for i in range(blocks):
    block = params[f"ResidualBlock_{i}"]
    has(block["Dense_0"]["kernel"], GAIN**2 * blocks**-0.5 / 64)
    has(block["GroupedConv_0"]["kernel"], GAIN**2 * blocks**-0.5 / (9 * 16))
    assert (block["Dense_1"]["kernel"] == 0.0).all()
    assert (block["Dense_0"]["bias"] == 0.0).all() and (block["GroupedConv_0"]["bias"] == 0.0).all()
  has(params["basis"], 1.0)
  has(params["Dense_0"]["kernel"], 1.0 / 64)
  has(params["Dense_1"]["kernel"], 1.0 / 64)
  params, _ = jax.jit(r3gan.discriminator(NetSpec((IMAGE,), ()), width=64, widest=64).init)(KEY)
  has(params["basis"], 1.0 / 16)
  has(params["Dense_0"]["kernel"], 1.0 / 3)
  has(params["ResidualBlock_0"]["Dense_0"]["kernel"], GAIN**2 * 3**-0.5 / 64)


def test_the_filter_by_hand():
  """An impulse becomes the filter [1, 3, 3, 1] in each direction, with weights that sum to 4 up and to 1 down."""
  line = np.array([1.0, 3.0, 3.0, 1.0]) / 4
  up = r3gan.upsample(jnp.zeros((1, 4, 5, 1)).at[0, 1, 2].set(1.0))
  expected = np.zeros((8, 10))
  expected[1:5, 3:7] = np.outer(line, line)
  np.testing.assert_allclose(up[0, ..., 0], expected, atol=1e-7)
  x = np.asarray(normal(3, (2, 6, 8, 3)), np.float64)
  padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  taps = np.outer(line, line) / 4
  windows = [taps[i, j] * padded[:, i : i + 6 : 2, j : j + 8 : 2] for i in range(4) for j in range(4)]
  np.testing.assert_allclose(r3gan.downsample(jnp.asarray(x, jnp.float32)), sum(windows), atol=1e-6)


def test_resampling_keeps_constants_inside_and_is_its_own_transpose_over_four():
  """Zeros lie beyond the border: there a constant loses a quarter upwards, an eighth downwards, for each side."""
  one = jnp.ones((1, 4, 4, 1))
  rim = lambda n, share: np.array([share, *[1.0] * (n - 2), share])
  np.testing.assert_allclose(r3gan.upsample(one)[0, ..., 0], np.outer(rim(8, 0.75), rim(8, 0.75)), rtol=1e-6)
  one = jnp.ones((1, 8, 8, 1))
  np.testing.assert_allclose(r3gan.downsample(one)[0, ..., 0], np.outer(rim(4, 0.875), rim(4, 0.875)), rtol=1e-6)
  small, large = normal(4, (2, 3, 5, 2)), normal(5, (2, 6, 10, 2))
  product = jnp.vdot(r3gan.upsample(small), large)
  np.testing.assert_allclose(product, 4.0 * jnp.vdot(small, r3gan.downsample(large)), rtol=1e-4)


def test_a_generator_by_hand():
  """From 4x4 to 16x16: the basis times a linear function of z, blocks, 1x1 convolutions before they are upsampled."""
  net = r3gan.generator(NetSpec(((5,),), IMAGE), width=3, widest=6, group=6)
  params = randomised(jax.jit(net.init)(KEY)[0])
  z = 10.0 * np.asarray(normal(6, (2, 5)), np.float64)
  dense = {i: np.asarray(params[f"Dense_{i}"]["kernel"], np.float64) for i in range(3)}
  assert params["basis"].shape == (4, 4, 6) and [w.shape for w in dense.values()] == [(5, 6), (6, 3), (3, 3)]
  x = np.asarray(params["basis"], np.float64)[None] * (z @ dense[0])[:, None, None]
  up = lambda x: np.asarray(r3gan.upsample(jnp.asarray(x, jnp.float32)), np.float64)
  x = block_by_hand(params["ResidualBlock_0"], x, 2)
  x = block_by_hand(params["ResidualBlock_1"], up(x), 2)
  x = block_by_hand(params["ResidualBlock_2"], up(x @ dense[1]), 1)
  images, _ = jax.jit(net.apply)(params, {}, jnp.asarray(z, jnp.float32))
  np.testing.assert_allclose(images, np.tanh(x @ dense[2]), atol=1e-4)
  assert np.abs(images).max() > 0.5


def test_a_discriminator_by_hand():
  """The mirror image, downsampled before the 1x1 convolutions; features are what the last layer reads."""
  net = r3gan.discriminator(NetSpec((IMAGE,), ()), width=3, widest=6, group=6)
  params = randomised(jax.jit(net.init)(KEY)[0])
  x = np.asarray(normal(7, (2, *IMAGE)), np.float64)
  dense = {i: np.asarray(params[f"Dense_{i}"]["kernel"], np.float64) for i in range(3)}
  down = lambda x: np.asarray(r3gan.downsample(jnp.asarray(x, jnp.float32)), np.float64)
  given = jnp.asarray(x, jnp.float32)
  x = block_by_hand(params["ResidualBlock_0"], x @ dense[0], 1)
  x = block_by_hand(params["ResidualBlock_1"], down(x) @ dense[1], 2)
  x = block_by_hand(params["ResidualBlock_2"], down(x), 2)
  features = np.einsum("bhwc,hwc->bc", x, np.asarray(params["basis"], np.float64))
  np.testing.assert_allclose(
    jax.jit(net.apply)(params, {}, given)[0], (features @ dense[2])[:, 0], rtol=1e-3, atol=1e-3
  )
  assert net.features is not None
  np.testing.assert_allclose(jax.jit(net.features)(params, {}, given), features, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
  ("make", "message"),
  [
    (lambda: r3gan.generator(NetSpec(((5,),), (28, 28, 1))), "a power of two from 8 on, not 28"),
    (lambda: r3gan.discriminator(NetSpec(((4, 4, 1),), ())), "a power of two from 8 on, not 4"),
    (lambda: r3gan.discriminator(NetSpec((IMAGE, ()), ())), "it takes one input, and the game gives it 2"),
    (lambda: r3gan.generator(NetSpec(((5,),), IMAGE), blocks=0), "blocks is 0"),
    (lambda: r3gan.generator(NetSpec(((5,),), IMAGE), width=12), "group is 16; it has to divide 24"),
  ],
)
def test_refusals(make, message):
  with pytest.raises(ConfigError, match=message):
    make()
