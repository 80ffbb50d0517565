"""DCGAN by the rules of its paper, and fast inside a scan."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan_jax.nets import dcgan
from gan_jax.nets.layers import BatchNorm

KEY = jax.random.key(0)
LATENT = 12


def nets(resolution=32, width=8, channels=3, **changes):
  fields = dict(resolution=resolution, width=width, channels=channels, **changes)
  return dcgan.Generator(**fields), dcgan.Discriminator(**fields)


def variables(**fields):
  """Both networks' variables, as shapes."""
  generator, discriminator = nets(**fields)
  z, x = jnp.zeros((2, LATENT)), jnp.zeros((2, generator.resolution, generator.resolution, generator.channels))
  return jax.eval_shape(generator.init, KEY, z), jax.eval_shape(discriminator.init, KEY, x)


def kernels(params):
  return [leaf.shape for path, leaf in jax.tree.leaves_with_path(params) if path[-1].key == "kernel"]


@pytest.mark.parametrize("resolution", dcgan.RESOLUTIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes(resolution, channels):
  generator, discriminator = nets(resolution, channels=channels)
  z, x = jnp.zeros((5, LATENT)), jnp.zeros((5, resolution, resolution, channels))
  images, _ = jax.eval_shape(generator.init_with_output, KEY, z)
  scores, _ = jax.eval_shape(discriminator.init_with_output, KEY, x)
  assert images.shape == x.shape and scores.shape == (5,)


@pytest.mark.parametrize("resolution", [4, 28, 48, 256])
def test_other_resolutions_are_refused(resolution):
  for net, example in zip(nets(resolution), (jnp.zeros((1, LATENT)), jnp.zeros((1, resolution, resolution, 3)))):
    with pytest.raises(ValueError, match=f"8, 16, 32, 64, 128, not {resolution}"):
      net.init(KEY, example)


def test_widths_double_toward_the_4x4_map():
  generator, discriminator = variables(resolution=64, width=128)
  widths = [(LATENT, 1024), (1024, 512), (512, 256), (256, 128), (128, 3)]  # the paper's figure 1
  assert sorted(kernels(generator["params"])) == sorted((4, 4, *pair) for pair in widths)
  widths = [(3, 128), (128, 256), (256, 512), (512, 1024), (1024, 1)]
  assert sorted(kernels(discriminator["params"])) == sorted((4, 4, *pair) for pair in widths)


def test_no_dense_layers_and_batch_norm_everywhere_but_at_the_images():
  generator, discriminator = variables(resolution=32, width=8)
  for params in (generator["params"], discriminator["params"]):
    assert all(leaf.ndim in (1, 4) for leaf in jax.tree.leaves(params))
  scales = lambda params: sorted(leaf["scale"].size for name, leaf in params.items() if name.startswith("BatchNorm"))
  assert scales(generator["params"]) == [8, 16, 32]  # not the images' 3
  assert scales(discriminator["params"]) == [16, 32]  # not the first layer's 8
  # A bias before batch normalisation would do nothing, so there is one only at the layer that touches images.
  biased = lambda params: {params[n]["bias"].size for n in params if "Conv" in n and "bias" in params[n]}
  assert biased(generator["params"]) == {3} and biased(discriminator["params"]) == {8}


def test_without_batch_norm_a_score_is_its_own_images():
  net = dcgan.Discriminator(resolution=16, width=4, batch_norm=False)
  images = jax.random.normal(KEY, (3, 16, 16, 3))
  params = net.init(KEY, images)
  assert set(params) == {"params"} and all(
    "bias" in layer for name, layer in params["params"].items() if "Conv" in name
  )
  alone = jnp.concatenate([net.apply(params, image[None]) for image in images])
  np.testing.assert_allclose(net.apply(params, images), alone, atol=1e-6)
  assert np.ptp(alone) > 1e-5  # and not because they are all alike


def test_initial_weights():
  for net, example in zip(nets(width=32), (jnp.zeros((1, 100)), jnp.zeros((1, 32, 32, 3)))):
    for path, leaf in jax.tree.leaves_with_path(jax.jit(net.init)(KEY, example)["params"]):
      name, spread = path[-1].key, 5 / np.sqrt(leaf.size)
      expected = {"kernel": (0.0, 0.02), "scale": (1.0, 0.02), "bias": (0.0, 0.0)}[name]
      np.testing.assert_allclose(leaf.mean(), expected[0], atol=0.02 * spread)
      np.testing.assert_allclose(leaf.std(), expected[1], atol=0.02 * spread)


def test_activations():
  generator, discriminator = nets(8, 4)
  params = generator.init(KEY, jnp.zeros((4, LATENT)))
  loud = jax.tree.map(lambda leaf: 100.0 * leaf, params)
  images, _ = generator.apply(loud, jax.random.normal(KEY, (4, LATENT)), mutable=["batch_stats"])
  assert jnp.abs(images).max() <= 1.0 and images.min() < -0.9 and images.max() > 0.9
  # At resolution 8 the discriminator is one LeakyReLU between two convolutions, of which the last is a sum.
  x = jax.random.normal(KEY, (4, 8, 8, 3))
  params = discriminator.init(KEY, x)["params"]
  hidden = lax.conv_general_dilated(
    x, params["Conv_0"]["kernel"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
  )
  hidden = jnp.where(hidden > 0, hidden, 0.2 * hidden)
  expected = jnp.sum(hidden * params["kernel"][..., 0][None], (1, 2, 3))
  np.testing.assert_allclose(discriminator.apply({"params": params}, x), expected, rtol=1e-4, atol=1e-6)


def test_several_vectors_stand_side_by_side():
  generator, _ = nets(8, 4)
  c, z = jnp.eye(3), jax.random.normal(KEY, (3, LATENT))
  variables = generator.init(KEY, c, z)
  expected = generator.apply(variables, jnp.concatenate([c, z], 1), train=False)
  np.testing.assert_allclose(generator.apply(variables, c, z, train=False), expected, rtol=1e-5)
  assert variables["params"]["kernel"].shape[2] == 3 + LATENT


def test_the_generator_begins_as_the_transposed_convolution_of_a_pixel():
  generator, _ = nets(8, 4)
  z = jax.random.normal(KEY, (3, LATENT))
  variables = generator.init(KEY, z)
  _, state = generator.apply(variables, z, capture_intermediates=True, mutable=["batch_stats", "intermediates"])
  pixel, kernel = z[:, None, None], variables["params"]["kernel"]
  maps = lax.conv_transpose(pixel, kernel[::-1, ::-1], (1, 1), "VALID")
  normalised = (maps - maps.mean((0, 1, 2), keepdims=True)) / jnp.sqrt(maps.var((0, 1, 2), keepdims=True) + 1e-5)
  expected = normalised * variables["params"]["BatchNorm_0"]["scale"].reshape(1, 1, 1, -1)
  np.testing.assert_allclose(state["intermediates"]["BatchNorm_0"]["__call__"][0], expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(16, 5), (4, 3, 2, 5)])
def test_batch_norm_is_flax_batch_norm(shape):
  x = 3.0 + 2.0 * jax.random.normal(KEY, shape)
  ours, theirs = BatchNorm(), nn.BatchNorm(momentum=0.9, use_running_average=False)
  variables = ours.init(KEY, x)

  def run(net, params, x):
    y, state = net.apply({**variables, "params": params}, x, mutable=["batch_stats"])
    return jnp.sum(jnp.sin(y)), (y, state)

  gradient = jax.value_and_grad(run, (1, 2), has_aux=True)
  actual, expected = gradient(ours, variables["params"], x), gradient(theirs, variables["params"], x)
  for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_statistics_move_in_training_only():
  for net, shape in zip(nets(16), ((6, LATENT), (6, 16, 16, 3))):
    x = jax.random.normal(KEY, shape)
    variables = jax.jit(net.init)(KEY, x)
    apply = jax.jit(net.apply, static_argnames=("train", "mutable"))
    for path, leaf in jax.tree.leaves_with_path(variables["batch_stats"]):
      assert (leaf == {"mean": 0.0, "var": 1.0}[path[-1].key]).all()
    _, moved = apply(variables, x, mutable="batch_stats")
    for old, new in zip(jax.tree.leaves(variables["batch_stats"]), jax.tree.leaves(moved["batch_stats"]), strict=True):
      assert (old != new).any()
    output, still = apply({**variables, **moved}, x, train=False, mutable="batch_stats")
    assert all(map(np.array_equal, jax.tree.leaves(still["batch_stats"]), jax.tree.leaves(moved["batch_stats"])))
    # Without a batch's statistics, a sample's output does not depend on its neighbours.
    alone = apply({**variables, **moved}, x[:1], train=False)
    np.testing.assert_allclose(alone, output[:1], rtol=1e-4, atol=1e-6)


def test_bfloat16():
  for net, exact, shape in zip(nets(16, dtype=jnp.bfloat16), nets(16), ((8, LATENT), (8, 16, 16, 3))):
    x = jax.random.normal(KEY, shape)
    variables = jax.jit(net.init)(KEY, x)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))

    def loss(params, net):
      y, state = net.apply({**variables, "params": params}, x, mutable=["batch_stats"])
      return jnp.mean(y**2), (y, state)

    gradients, (y, state) = jax.jit(jax.grad(loss, has_aux=True), static_argnums=1)(variables["params"], net)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves((gradients, y, state)))
    expected, _ = jax.jit(exact.apply, static_argnames="mutable")(variables, x, mutable="batch_stats")
    np.testing.assert_allclose(y, expected, atol=0.05)


def test_the_trunk_is_the_discriminator_but_for_its_last_layer():
  shared, x = dict(resolution=32, width=8, channels=1), jnp.zeros((5, 32, 32, 1))
  trunk, discriminator = dcgan.Trunk(24, **shared), dcgan.Discriminator(**shared)
  features, variables = jax.eval_shape(trunk.init_with_output, KEY, x)
  whole = jax.eval_shape(discriminator.init, KEY, x)
  assert features.shape == (5, 24)
  shapes = lambda params: {jax.tree_util.keystr(path): leaf.shape for path, leaf in jax.tree.leaves_with_path(params)}
  of_trunk, of_discriminator = shapes(variables["params"]), shapes(whole["params"])
  last = {"['kernel']", "['bias']"}
  assert set(of_discriminator) - set(of_trunk) == last
  assert all(of_trunk[name] == shape for name, shape in of_discriminator.items() if name not in last)
  added = {name: shape for name, shape in of_trunk.items() if name not in of_discriminator}
  norm = {f"['BatchNorm_2']['{name}']": (24,) for name in ("scale", "bias")}
  assert added == {"['Dense_0']['kernel']": (4 * 4 * 32, 24), **norm}
  with pytest.raises(ValueError, match="8, 16, 32, 64, 128, not 28"):
    dcgan.Trunk(resolution=28).init(KEY, jnp.zeros((1, 28, 28, 3)))


def test_the_trunk_by_hand():
  """At resolution 8: a convolution, leaky; a dense layer, batch-normalised and leaky. Features are raw numbers."""
  trunk, x = dcgan.Trunk(6, resolution=8, width=4), jax.random.normal(KEY, (5, 8, 8, 3))
  variables = trunk.init(KEY, x)
  params = variables["params"]
  leaky = lambda x: np.where(x > 0, x, 0.2 * x)
  hidden = lax.conv_general_dilated(
    x, params["Conv_0"]["kernel"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
  )
  hidden = leaky(np.asarray(hidden, np.float64)).reshape(5, -1) @ np.asarray(params["Dense_0"]["kernel"], np.float64)
  hidden = (hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + 1e-5)
  expected = leaky(hidden * np.asarray(params["BatchNorm_0"]["scale"]))
  features, _ = trunk.apply(variables, x, mutable=["batch_stats"])
  np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)
  coarse = dcgan.Trunk(6, resolution=8, width=4, dtype=jnp.bfloat16).apply(variables, x, mutable=["batch_stats"])[0]
  assert coarse.dtype == jnp.float32
  np.testing.assert_allclose(coarse, features, atol=0.1)
  wide = dcgan.Trunk(400, resolution=8, width=64).init(KEY, jnp.zeros((1, 8, 8, 3)))["params"]
  for kernel in (wide["Conv_0"]["kernel"], wide["Dense_0"]["kernel"]):
    np.testing.assert_allclose([kernel.mean(), kernel.std()], [0.0, 0.02], atol=0.002)
