"""Dense nets by hand: recognition heads, and discriminators of powers of the data and of noisy data."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gan_jax.nets import mlp

KEY = jax.random.key(2)


def randomised(params):
  """Every entry drawn, so that biases and scales count."""
  leaves, tree = jax.tree.flatten(params)
  keys = jax.random.split(KEY, len(leaves))
  return jax.tree.unflatten(tree, [jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves)])


def drawn(net, x):
  variables = net.init(KEY, x)
  return {**variables, "params": randomised(variables["params"])}


def f64(tree):
  return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def test_a_head_is_a_batch_normalised_leaky_layer_and_a_dense_one():
  net, x = mlp.Head(3, hidden=(5,)), jax.random.normal(KEY, (6, 2, 2))
  variables = drawn(net, x)
  params = f64(variables["params"])
  assert sorted(params["Dense_0"]) == ["kernel"] and params["Dense_1"]["kernel"].shape == (5, 3)
  h = f64(x).reshape(6, 4) @ params["Dense_0"]["kernel"]
  h = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5) * params["BatchNorm_0"]["scale"] + params["BatchNorm_0"]["bias"]
  expected = np.where(h > 0, h, 0.2 * h) @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]
  outputs, moved = net.apply(variables, x, mutable=["batch_stats"])
  np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)
  # Outside of training an example's numbers do not depend on its neighbours.
  variables = {**variables, **moved}
  alone, together = (net.apply(variables, part, train=False) for part in (x[:1], x))
  np.testing.assert_allclose(alone, together[:1], rtol=1e-5)
  assert np.abs(together - outputs).max() > 1e-2


def test_a_head_without_hidden_layers_is_linear():
  net, x = mlp.Head(4, hidden=()), jax.random.normal(KEY, (3, 2))
  variables = drawn(net, x)
  params = f64(variables["params"])
  expected = f64(x) @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
  np.testing.assert_allclose(net.apply(variables, x), expected, rtol=1e-5)
  assert set(variables) == {"params"}


@pytest.mark.parametrize("powers", [1, 2, 3])
def test_a_discriminator_of_powers_is_a_polynomial(powers):
  """Without hidden layers the score is w1.x + w2.x^2 + ... + b."""
  net, x = mlp.Discriminator(hidden=(), powers=powers), jax.random.normal(KEY, (5, 2))
  variables = drawn(net, x)
  layer = f64(variables["params"]["Dense_0"])
  assert layer["kernel"].shape == (2 * powers, 1)
  blocks = layer["kernel"].reshape(powers, 2)
  expected = sum(f64(x) ** (i + 1) @ w for i, w in enumerate(blocks)) + layer["bias"]
  np.testing.assert_allclose(net.apply(variables, x), expected, rtol=1e-4, atol=1e-5)


def test_powers_stand_beside_fourier_features_of_the_data_itself():
  x = jax.random.normal(KEY, (5, 2))
  widths = {}
  for powers in (1, 3):
    net = mlp.Discriminator(hidden=(), powers=powers, fourier=4)
    widths[powers] = net.init(KEY, x)["params"]["Dense_0"]["kernel"].shape[0]
  assert widths[3] - widths[1] == 4 and widths[1] > 2


def hand_scores(variables, x, noise):
  """One hidden layer on Fourier features that one number for the whole batch fades, as a scalar once did."""
  w = variables["waves"]["FourierFeatures_0"]["w"]
  fade = jnp.exp(-0.5 * jnp.square(noise * jnp.linalg.norm(w, axis=0)))[None]
  x = jnp.concatenate([x, jnp.concatenate([jnp.cos(x @ w) * fade, jnp.sin(x @ w) * fade], -1)], -1)
  hidden, last = (variables["params"][f"Dense_{i}"] for i in range(2))
  x = nn.relu(x @ hidden["kernel"] + hidden["bias"][None])
  return (x @ last["kernel"] + last["bias"][None])[:, 0]


@pytest.mark.parametrize("noise", [0.0, 0.3, 2.0])
def test_a_level_for_each_example_fades_as_one_for_all_did_bit_for_bit(noise):
  x = jax.random.normal(KEY, (5, 2))
  net = mlp.Discriminator(hidden=(6,), fourier=4)
  variables = net.init(KEY, x)
  expected = hand_scores(variables, x, noise)
  np.testing.assert_array_equal(net.apply(variables, x, jnp.full(5, noise)), expected)
  assert np.array_equal(net.apply(variables, x), expected) == (noise == 0.0)


def test_every_example_has_its_own_level():
  """Beside whatever else is an input, in any place."""
  x, label, noise = jax.random.normal(KEY, (3, 2)), jnp.eye(3), jnp.array([0.0, 0.5, 3.0])
  net = mlp.Discriminator(hidden=(6,), fourier=4)
  variables = net.init(KEY, x, label)
  together = net.apply(variables, x, noise, label)
  alone = [net.apply(variables, x[i : i + 1], label[i : i + 1], noise[i : i + 1]) for i in range(3)]
  np.testing.assert_allclose(together, jnp.concatenate(alone), rtol=1e-5)
  assert np.abs(together - net.apply(variables, x, label))[1:].min() > 1e-3


def test_computing_in_bfloat16_keeps_float32_outside():
  x = jax.random.normal(KEY, (4, 3))
  coarse = {"hidden": (5,), "dtype": jnp.bfloat16}
  for net in (mlp.Head(3, **coarse), mlp.Discriminator(powers=2, **coarse)):
    variables = net.init(KEY, x)
    outputs, _ = net.apply(variables, x, mutable=["batch_stats"])
    assert {leaf.dtype for leaf in jax.tree.leaves((variables, outputs))} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize("hidden", [(), (64, 64)])
def test_points_are_not_rounded_to_bfloat16s_lattice(hidden):
  """Between 2 and 4 its numbers are 0.016 apart, and the modes of a mixture 0.02 wide."""
  net = mlp.Generator((2,), hidden, dtype=jnp.bfloat16)
  z = jax.random.normal(KEY, (256, 16))
  points = jax.jit(net.apply)(net.init(KEY, z), z)
  assert np.mean(points == points.astype(jnp.bfloat16).astype(jnp.float32)) < 0.05


@pytest.mark.parametrize("hidden", [(), (64, 64)])
@pytest.mark.parametrize("make", [mlp.Discriminator, functools.partial(mlp.Head, 1)])
def test_points_that_bfloat16_would_round_alike_are_told_apart(make, hidden):
  net, exact = (make(hidden=hidden, dtype=dtype) for dtype in (jnp.bfloat16, jnp.float32))
  x = jnp.array([[1.9, -1.9]]) + jnp.linspace(-0.003, 0.003, 16)[:, None] * jnp.array([1.0, 0.6])[None]
  variables = drawn(net, x)
  score = lambda net: np.ravel(jax.jit(functools.partial(net.apply, train=False))(variables, x))
  assert len({*score(net)}) == 16 and score(net).dtype == np.float32
  if not hidden:
    np.testing.assert_array_equal(score(net), score(exact))


def test_an_image_is_read_in_bfloat16():
  """Its values are 0.008 apart, and its layer is large."""
  x = jax.random.normal(KEY, (4, 8, 8, 1))
  low = [mlp.Discriminator((8,), dtype=jnp.bfloat16), mlp.Head(2, (8,), dtype=jnp.bfloat16)]
  for net in low:
    text = jax.jit(functools.partial(net.apply, train=False)).lower(net.init(KEY, x), x).as_text()
    assert "bf16" in text
