"""flax modules of both kinds as nets, and as players in a game."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from gan_jax import train
from gan_jax.games import gan
from gan_jax.losses import adversarial
from gan_jax.nets.adapt import from_linen, from_nnx
from gan_jax.nets.conv import Conv
from gan_jax.nets.layers import Dense, SpectralNorm

import toy


class LinenBlock(linen.Module):
  @linen.compact
  def __call__(self, x, train: bool = True):
    x = linen.Dense(4)(x)
    x = linen.BatchNorm(use_running_average=not train, momentum=0.9)(x)
    return linen.Dropout(0.5, deterministic=not train)(x)


class NnxBlock(nnx.Module):
  def __init__(self, rngs: nnx.Rngs):
    self.layers = nnx.List([nnx.Linear(3, 4, rngs=rngs)])
    self.norm = nnx.BatchNorm(4, momentum=0.9, rngs=rngs)
    self.dropout = nnx.Dropout(0.5, rngs=rngs)

  def __call__(self, x):
    return self.dropout(self.norm(self.layers[0](x)))


class NnxGenerator(nnx.Module):
  def __init__(self, rngs: nnx.Rngs):
    self.hidden = nnx.Linear(4, 16, rngs=rngs)
    self.norm = nnx.BatchNorm(16, rngs=rngs)
    self.out = nnx.Linear(16, 2, rngs=rngs)

  def __call__(self, z):
    return self.out(jax.nn.relu(self.norm(self.hidden(z))))


NETS = {
  "linen": lambda: from_linen(LinenBlock(), toy.SPEC((1, 3), jnp.float32)),
  "nnx": lambda: from_nnx(lambda rngs: NnxBlock(rngs=rngs)),
}


def dense(params):
  """The dense layer's kernel and bias, under either library's names."""
  layer = params["Dense_0"] if "Dense_0" in params else params["layers"][0]
  return np.asarray(layer["kernel"]), np.asarray(layer["bias"])


def moments(stats):
  stats = stats["batch_stats"]["BatchNorm_0"] if "batch_stats" in stats else stats["norm"]
  return np.asarray(stats["mean"]), np.asarray(stats["var"])


@pytest.mark.parametrize("kind", NETS)
def test_a_net_is_the_module(kind):
  """Against NumPy: the dense layer, batch norm by running and by batch statistics, and what the statistics become."""
  net = NETS[kind]()
  params, stats = net.init(jax.random.key(0))
  x = np.asarray(jax.random.normal(jax.random.key(1), (64, 3)))
  kernel, bias = dense(params)
  hidden = x @ kernel + bias
  out, same = net.apply(params, stats, jnp.asarray(x), train=False)
  np.testing.assert_allclose(out, hidden / np.sqrt(1 + 1e-5), rtol=1e-4, atol=1e-5)  # statistics start at 0 and 1
  chex.assert_trees_all_equal(same, stats)
  out, moved = net.apply(params, stats, jnp.asarray(x), key=jax.random.key(2))
  normal = (hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + 1e-5)
  kept = np.asarray(out) != 0
  assert 0.35 < kept.mean() < 0.65
  np.testing.assert_allclose(np.asarray(out)[kept], 2 * normal[kept], rtol=1e-3, atol=1e-4)
  mean, var = moments(moved)
  np.testing.assert_allclose(mean, 0.1 * hidden.mean(0), rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(var, 0.9 + 0.1 * hidden.var(0), rtol=1e-4)


@pytest.mark.parametrize("kind", NETS)
def test_keys_make_weights_and_noise(kind):
  net = NETS[kind]()
  weights = [dense(net.init(jax.random.key(k))[0])[0] for k in (0, 0, 1)]
  np.testing.assert_array_equal(weights[0], weights[1])
  assert not np.array_equal(weights[0], weights[2])
  both = jax.vmap(net.init)(jax.random.split(jax.random.key(0), 2))[0]
  assert not np.array_equal(dense(jax.tree.map(lambda x: x[0], both))[0], dense(jax.tree.map(lambda x: x[1], both))[0])
  params, stats = net.init(jax.random.key(0))
  drops = [net.apply(params, stats, jnp.ones((8, 3)), key=jax.random.key(k))[0] == 0 for k in (0, 0, 1)]
  np.testing.assert_array_equal(drops[0], drops[1])


def test_dropout_differs_between_keys():
  for make in NETS.values():
    net = make()
    params, stats = net.init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(5), (32, 3))
    first, second = (np.asarray(net.apply(params, stats, x, key=jax.random.key(k))[0]) == 0 for k in (0, 1))
    assert not np.array_equal(first, second)


class Streams(linen.Module):
  @linen.compact
  def __call__(self, x):
    for stream in ("params", "dropout"):
      self.variable("drawn", stream, lambda s=stream: jax.random.key_data(self.make_rng(s)))
    return x


def test_weights_and_dropout_start_from_keys_of_their_own():
  _, stats = from_linen(Streams(), toy.SPEC((1, 3), jnp.float32)).init(jax.random.key(0))
  assert not np.array_equal(stats["drawn"]["params"], stats["drawn"]["dropout"])


def test_a_linen_module_of_another_width_is_a_value_error():
  net = NETS["linen"]()
  with pytest.raises(ValueError, match="kernel"):
    net.apply(*net.init(jax.random.key(0)), jnp.ones((8, 5)), key=jax.random.key(1))


def test_random_nnx_module_without_a_key_is_refused():
  net = NETS["nnx"]()
  params, stats = net.init(jax.random.key(0))
  with pytest.raises(ValueError, match="give apply a key"):
    net.apply(params, stats, jnp.ones((8, 3)))


def test_a_finished_nnx_module_is_refused():
  with pytest.raises(ValueError, match="a function of random streams.*lambda rngs: NnxBlock"):
    from_nnx(NnxBlock(nnx.Rngs(0)))


class Judge(linen.Module):
  """Its last layer reads something squared; a norm that comes later has no kernel, and `probe` is called first."""

  last: linen.Module
  flat: bool = True

  @linen.compact
  def __call__(self, x, train: bool = True):
    x = Conv(3, (3, 3))(x) + Dense(1, name="probe")(x.reshape(len(x), -1)).mean()
    x = jnp.square(linen.Dropout(0.5, deterministic=not train)(x))
    train_too = (train,) if isinstance(self.last, SpectralNorm) else ()
    x = self.last(x.reshape(len(x), -1) if self.flat else x, *train_too)
    return linen.BatchNorm(use_running_average=not train)(x)


def read_by_hand(params, x):
  """What the last layer of `Judge` reads, [B, 4, 4, 3]."""
  probe = Dense(1).apply({"params": params["probe"]}, x.reshape(len(x), -1))
  return np.square(Conv(3, (3, 3)).apply({"params": params["Conv_0"]}, x) + probe.mean())


@pytest.mark.parametrize(
  "last, flat",
  [
    (linen.Dense(1), True),
    (Dense(1), True),
    (SpectralNorm(Dense(1)), True),
    (linen.Conv(1, (4, 4), padding="VALID"), False),
    (linen.Conv(2, (3, 3)), False),
    (Conv(1), False),
  ],
)
def test_features_are_what_the_last_layer_reads(last, flat):
  """All of it where one output is left, also where the layer is a convolution; else its mean over places."""
  judge, x = Judge(last, flat), jax.random.normal(jax.random.key(1), (5, 4, 4, 2))
  net = from_linen(judge, toy.SPEC((1, 4, 4, 2), jnp.float32))
  params, stats = net.init(jax.random.key(0))
  expected = read_by_hand(params, x)
  patches = not flat and getattr(last, "padding", "") != "VALID"
  expected = expected.mean((1, 2)) if patches else expected.reshape(5, -1)
  np.testing.assert_allclose(jax.jit(net.features)(params, stats, x), expected, rtol=1e-4, atol=1e-5)


class Mixed(linen.Module):
  """A dense layer, then a convolution whose name is the last by alphabet, then another."""

  @linen.compact
  def __call__(self, x):
    x = x + Dense(1)(x.reshape(len(x), -1)).mean()
    return Conv(2, (3, 3), name="a")(Conv(5, (2, 3), name="z")(x))


def test_filters_are_the_kernel_of_the_first_convolution_to_run():
  net = from_linen(Mixed(), toy.SPEC((1, 4, 4, 2), jnp.float32))
  params, stats = net.init(jax.random.key(0))
  params = jax.tree.map(lambda w: w, params)  # which sorts names, as jit does
  filters = jax.jit(net.filters)(params, stats)
  assert filters.shape == (2, 3, 2, 5)
  np.testing.assert_array_equal(filters, params["z"]["kernel"])


def test_nets_without_a_convolution_have_no_filters():
  net = from_linen(LinenBlock(), toy.SPEC((1, 3), jnp.float32))
  with pytest.raises(ValueError, match=r"no filters: no module in it has a parameter .kernel. \[kh, kw, C, O\]"):
    net.filters(*net.init(jax.random.key(0)))
  assert NETS["nnx"]().filters is None


def test_nets_whose_last_layer_nobody_knows():
  class Slope(linen.Module):
    @linen.compact
    def __call__(self, x):
      return x * self.param("slope", linen.initializers.ones, (), jnp.float32)

  net = from_linen(Slope(), toy.SPEC((1, 3), jnp.float32))
  with pytest.raises(ValueError, match='no features: no module in it has a parameter "kernel"'):
    net.features(*net.init(jax.random.key(0)), jnp.ones((2, 3)))
  assert NETS["nnx"]().features is None


def far_batch(key):
  return {"x": 3.0 + 0.1 * jax.random.normal(key, (32, 2))}


def test_someones_own_nnx_module_plays():
  """It trains in a scan, all of its state is arrays, and its batch statistics move in its own turn only."""
  game = gan.make(
    generator=from_nnx(lambda rngs: NnxGenerator(rngs=rngs)),
    discriminator=toy.ring_game().nets["discriminator"],
    loss=adversarial.non_saturating(),
    tx=optax.adam(1e-2, b1=0.5),
    latent_dim=4,
  )
  state = train.init(game, jax.random.key(0), jax.eval_shape(far_batch, jax.random.key(0)))
  assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
  played, metrics = jax.jit(train.make_scan(game, 300, far_batch))(state)
  chex.assert_tree_all_finite((played.params, metrics))
  start, end = (game.sample(*train.averaged(s), jax.random.key(1), 256).mean(0) for s in (state, played))
  assert np.abs(start - 3.0).min() > 2.0 and np.abs(end - 3.0).max() < 1.0
  after, _ = train.play(game, ("discriminator",), played, far_batch(jax.random.key(3)), jax.random.key(4))
  chex.assert_trees_all_equal(after.stats["generator"], played.stats["generator"])
  after, _ = train.play(game, ("generator",), played, far_batch(jax.random.key(3)), jax.random.key(4))
  assert not np.array_equal(after.stats["generator"]["norm"]["mean"], played.stats["generator"]["norm"]["mean"])
