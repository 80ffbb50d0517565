"""Both Wasserstein games: what is clipped, and that the critic measures a known distance."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax import train
from gan_jax.game import Net
from gan_jax.games import wgan, wgan_gp
from gan_jax.nets import mlp
from gan_jax.nets.adapt import from_linen

import toy

KEY = jax.random.key(2)


def standard_normal(dim) -> dict:
  """A generator that gives N(0, I), and has one weight that nothing depends on."""
  apply = lambda p, s, z, key=None, train=True: (z, s)
  return {"generator": Net(lambda key: ({"unused": jnp.ones(())}, {}), apply), "latent_dim": dim}


def smooth_critic(dim) -> Net:
  return from_linen(mlp.Discriminator(hidden=(32, 32), activation=nn.softplus), toy.SPEC((1, dim), jnp.float32))


def around(mean, n=256):
  return lambda key: {"x": jnp.array([mean]) + jax.random.normal(key, (n, len(mean)))}


def measured(game, mean, key, rounds=300):
  """w1 averaged over the last quarter of a run."""
  _, metrics = train.make_scan(game, rounds, around(mean))(train.init(game, key))
  return metrics["critic/w1"][-rounds // 4 :].mean()


def critic_tx(rounds=300, rate=3e-3):
  """The critic learns, the generator stands still."""
  decayed = optax.cosine_decay_schedule(rate, 5 * rounds)
  return {"critic": optax.adam(decayed, b1=0.0, b2=0.9), "generator": optax.sgd(0.0)}


class NormedCritic(nn.Module):
  @nn.compact
  def __call__(self, x, train: bool = True):
    x = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Dense(8)(x)))
    return nn.Dense(1)(x)[:, 0]


def test_every_weight_is_clipped_but_batch_norms():
  game = wgan.make(
    **standard_normal(2),
    critic=from_linen(NormedCritic(), toy.SPEC((1, 2), jnp.float32)),
    tx=optax.rmsprop(0.1),
    clip=0.05,
  )
  assert game.draws == 5
  state = train.init(game, KEY)
  assert np.abs(state.params["critic"]["Dense_0"]["kernel"]).max() > 0.05
  state, _ = train.make_scan(game, 1, around((1.0, 2.0)))(state)
  critic = state.params["critic"]
  for layer in ("Dense_0", "Dense_1"):
    assert np.abs(critic[layer]["kernel"]).max() == np.float32(0.05)
    assert np.abs(critic[layer]["bias"]).max() <= np.float32(0.05)
  assert np.abs(critic["BatchNorm_0"]["scale"]).min() > 0.05
  assert np.abs(critic["BatchNorm_0"]["bias"]).max() > 0.05
  assert float(state.params["generator"]["unused"]) == 1.0


def test_clipping_goes_through_lists_and_takes_an_array():
  norm = {"scale": jnp.array([2.0]), "bias": jnp.array([-3.0])}
  params = {"layers": [{"kernel": jnp.array([[-2.0, 0.5]])}, norm], "bias": jnp.array([4.0])}
  out = jax.vmap(lambda clip: wgan.clipped(params, clip))(jnp.array([1.0, 0.1]))
  np.testing.assert_allclose(out["layers"][0]["kernel"][:, 0], [[-1.0, 0.5], [-0.1, 0.1]])
  np.testing.assert_allclose(out["bias"][:, 0], [1.0, 0.1])
  np.testing.assert_array_equal(out["layers"][1]["scale"][:, 0], [2.0, 2.0])
  np.testing.assert_array_equal(out["layers"][1]["bias"][:, 0], [-3.0, -3.0])


def linear_critic() -> Net:
  return Net(lambda key: ({"w": jnp.zeros(2)}, {}), lambda p, s, x, key=None, train=True: (x @ p["w"], s))


def test_a_clipped_linear_critic_measures_the_l1_distance():
  """max w.(m - 0) over |w_i| <= c is c (|2| + |-1|)."""

  def run(clip):
    game = wgan.make(**standard_normal(2), critic=linear_critic(), tx=optax.sgd(0.05), clip=clip)
    return measured(game, (2.0, -1.0), KEY, rounds=100)

  clips = jnp.array([0.01, 0.2])
  np.testing.assert_allclose(jax.jit(jax.vmap(run))(clips), 3.0 * clips, rtol=0.05)


@pytest.mark.usefixtures("runs_long")
def test_wgan_gp_measures_w1_of_two_gaussians():
  """N(m, I) and N(0, I) are |m| = 1.5 apart; three seeds."""
  game = wgan_gp.make(**standard_normal(2), critic=smooth_critic(2), tx=critic_tx(), penalty_weight=50.0)
  w1 = jax.jit(jax.vmap(lambda key: measured(game, (0.9, 1.2), key)))(jax.random.split(KEY, 3))
  np.testing.assert_allclose(w1, 1.5, rtol=0.05)


@pytest.mark.usefixtures("runs_long")
def test_the_penalty_weights_bias_is_as_theory_has_it():
  """On the line the best slope is 1 + (F_q - F_p) / (2 lambda rho), with rho the density of the interpolates.

  So w1 is W1 + integral of (F_q - F_p)^2 / (2 lambda rho): 2.1011 for lambda = 2 and 1.5240 for 50, where W1 is 1.5.
  """

  def run(key, weight):
    settings = {"critic": smooth_critic(1), "tx": critic_tx(), "one_sided": True}
    return measured(wgan_gp.make(**standard_normal(1), **settings, penalty_weight=weight), (1.5,), key)

  run = jax.vmap(jax.vmap(run, (None, 0)), (0, None))
  w1 = jax.jit(run)(jax.random.split(KEY, 3), jnp.array([2.0, 50.0]))
  np.testing.assert_allclose(w1, np.tile([2.1011, 1.5240], (3, 1)), rtol=0.03)


def first_metrics(**settings):
  game = wgan_gp.make(**standard_normal(2), critic=linear_critic(), tx=optax.sgd(1.0), **settings)
  state = train.init(game, KEY)
  state = state.replace(params={**state.params, "critic": {"w": jnp.array([0.3, 0.4])}})
  return train.play(game, ("critic",), state, around((3.0, 4.0))(KEY), KEY)[1]


def test_wgan_gp_by_hand():
  """|w| = 0.5: the penalty is 0.25, or 0 one-sided, and weighs 10 by default; w1 is w.m = 2.5 but for the samples."""
  metrics, one_sided = first_metrics(), first_metrics(one_sided=True)
  np.testing.assert_allclose(metrics["critic/penalty"], 0.25, rtol=1e-5)
  np.testing.assert_allclose(metrics["critic/loss"], 2.5 - metrics["critic/w1"], rtol=1e-5)
  np.testing.assert_allclose(metrics["critic/w1"], metrics["critic/real"] - metrics["critic/fake"], rtol=1e-5)
  np.testing.assert_allclose(metrics["critic/w1"], 2.5, atol=0.2)
  assert float(one_sided["critic/penalty"]) == 0.0


def test_where_reaches_the_penalty():
  with pytest.raises(ValueError, match="where is 'fake'"):
    first_metrics(where="fake")
