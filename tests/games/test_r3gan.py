"""R3GAN by hand: the pairing, and gamma / 2 on both penalties."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import train
from gan_jax.game import Net
from gan_jax.games import r3gan

KEY = jax.random.key(4)


def line_game(gamma, **settings):
  """Generator x = m, discriminator a + b x + c x^2, in one dimension."""
  m, a, b, c = (jnp.array(v) for v in (0.5, 0.1, 0.7, -0.2))
  score = lambda p, s, x, key=None, train=True: ((p["a"] + p["b"] * x + p["c"] * x**2)[:, 0], s)
  return r3gan.make(
    generator=Net(lambda key: ({"m": m}, {}), lambda p, s, z, key=None, train=True: (p["m"] + 0.0 * z, s)),
    discriminator=Net(lambda key: ({"a": a, "b": b, "c": c}, {}), score),
    tx=optax.sgd(1.0),
    gamma=gamma,
    latent_dim=1,
    **settings,
  )


def move(game, player, batch=None):
  state = train.init(game, KEY)
  after, metrics = train.play(game, (player,), state, batch or {"x": jnp.full((3, 1), 2.0)}, KEY)
  return {k: after.params[player][k] - state.params[player][k] for k in after.params[player]}, metrics


@pytest.mark.parametrize("gamma", [0.0, 3.0])
def test_losses_and_gradients_by_hand(gamma):
  """x = 2 against m = 0.5: scores 0.7 and 0.4, slopes b + 2 c x of -0.1 and 0.5, so R1 + R2 = (0.01 + 0.25) / 2."""
  sigmoid = lambda v: 1 / (1 + np.exp(-v))
  step, metrics = move(line_game(gamma), "discriminator")
  np.testing.assert_allclose(metrics["discriminator/penalty"], 0.13, rtol=1e-5)
  np.testing.assert_allclose(metrics["discriminator/loss"], np.log1p(np.exp(-0.3)) + gamma * 0.13, rtol=1e-5)
  pull = sigmoid(-0.3)
  np.testing.assert_allclose(step["a"], 0.0, atol=1e-6)
  np.testing.assert_allclose(step["b"], pull * (2.0 - 0.5) - gamma * (-0.1 + 0.5), rtol=1e-4)
  np.testing.assert_allclose(step["c"], pull * (4.0 - 0.25) - gamma * (-0.1 * 4.0 + 0.5 * 1.0), rtol=1e-4)
  step, metrics = move(line_game(gamma), "generator")
  np.testing.assert_allclose(metrics["generator/loss"], np.log1p(np.exp(0.3)), rtol=1e-5)
  np.testing.assert_allclose(step["m"], sigmoid(0.3) * 0.5, rtol=1e-5)


def test_gamma_tied_to_the_variance_of_the_noise():
  """gamma(step) = 2 noise(step)^2, with noise 1, 1/2, 0: weights 2, 1/2, 0."""
  noise = optax.linear_schedule(1.0, 0.0, 2)
  game = line_game(lambda step: 2.0 * noise(step) ** 2, instance_noise=noise)
  batch = {"x": jnp.full((3, 1), 2.0)}
  for step, gamma in enumerate((2.0, 0.5, 0.0)):
    state = train.init(game, KEY).replace(step=jnp.array(step, jnp.int32))
    tied, plain = (
      train.play(g, ("discriminator",), state, batch, KEY)[1] for g in (game, line_game(0.0, instance_noise=noise))
    )
    added = tied["discriminator/loss"] - plain["discriminator/loss"]
    np.testing.assert_allclose(added, gamma * tied["discriminator/penalty"], rtol=1e-4, atol=1e-6)
    # 0.13 is the penalty at the data themselves, as above: the last round alone has no noise.
    assert np.isclose(tied["discriminator/penalty"], 0.13, rtol=1e-4) == (step == 2)


def test_the_dirac_gan_at_its_equilibrium():
  """Eigenvalues -gamma +- sqrt(gamma^2 - 1/4) of x = m against a score b x: trace -2 gamma, determinant 1/4."""
  for gamma in (0.0, 0.3, 2.0):
    game = line_game(gamma)
    state, batch = train.init(game, KEY), {"x": jnp.zeros((3, 1))}

    def flow(point):
      score = {"a": jnp.zeros(()), "b": point[1], "c": jnp.zeros(())}
      params = {"generator": {"m": point[0]}, "discriminator": score}
      loss = lambda name, params: game.players[name].loss(params, state, batch, KEY)[0]
      down_m = jax.grad(lambda m: loss("generator", {**params, "generator": {"m": m}}))(point[0])
      down_b = jax.grad(lambda b: loss("discriminator", {**params, "discriminator": {**score, "b": b}}))(point[1])
      return -jnp.stack([down_m, down_b])

    jacobian = jax.jacobian(flow)(jnp.zeros(2))
    np.testing.assert_allclose([jnp.trace(jacobian), jnp.linalg.det(jacobian)], [-2.0 * gamma, 0.25], atol=1e-5)


def test_it_converges_where_the_unpenalised_game_circles():
  """Data at 0 against a linear score, several gammas as one program: the distance left after 200 rounds of 0.1."""

  def left(gamma):
    linear = Net(lambda key: ({"w": jnp.array(1.0)}, {}), lambda p, s, x, key=None, train=True: ((p["w"] * x)[:, 0], s))
    settings = {"tx": optax.sgd(0.1), "latent_dim": 1, "gamma": gamma}
    game = r3gan.make(generator=line_game(0.0).nets["generator"], discriminator=linear, **settings)
    state, _ = train.make_scan(game, 200, lambda key: {"x": jnp.zeros((2, 1))})(train.init(game, KEY))
    return jnp.hypot(state.params["generator"]["m"], state.params["discriminator"]["w"])

  unpenalised, penalised = jax.jit(jax.vmap(left))(jnp.array([0.0, 0.4]))
  assert unpenalised > 0.3
  assert penalised < 1e-3
