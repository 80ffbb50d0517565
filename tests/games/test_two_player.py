"""The frame of the two-player games: the same game as gan.make, and what each of its options should change."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax import train
from gan_jax.game import Net
from gan_jax.games import gan, two_player
from gan_jax.losses import adversarial, penalties
from gan_jax.nets import mlp
from gan_jax.nets.adapt import from_linen

import toy

KEY = jax.random.key(11)
SGD = optax.sgd(0.1)


def ring_nets():
  nets = toy.ring_game().nets
  return nets["generator"], nets["discriminator"]


def shift_generator(m=(0.5, 0.5)) -> Net:
  """x = m + z."""
  return Net(lambda key: ({"m": jnp.array(m)}, {}), lambda p, s, z, key=None, train=True: (p["m"][None] + z, s))


def linear_scorer(w=(3.0, 4.0)) -> Net:
  """w.x, and how often it was applied in training."""

  def apply(p, s, x, key=None, train=True):
    return x @ p["w"], {"calls": s["calls"] + 1.0} if train else s

  return Net(lambda key: ({"w": jnp.array(w)}, {"calls": jnp.zeros(())}), apply)


def plane_game(**settings):
  defaults = {"generator": shift_generator(), "scorer": linear_scorer(), "loss": adversarial.wasserstein(), "tx": SGD}
  return two_player.make(**{**defaults, "latent_dim": 2, **settings})


def r1(weight):
  return {"penalty": lambda critic, real, fake, key: penalties.r1(critic, real), "penalty_weight": weight}


def normal_batch(key, n=32):
  return {"x": jax.random.normal(key, (n, 2))}


@pytest.mark.parametrize(
  ("steps", "simultaneous", "loss"),
  [(2, False, adversarial.non_saturating()), (1, True, adversarial.relativistic())],
)
def test_without_options_it_is_the_gan_game_bit_for_bit(steps, simultaneous, loss):
  generator, scorer = ring_nets()
  shared = {"generator": generator, "loss": loss, "tx": optax.adam(1e-2), "latent_dim": 4, "simultaneous": simultaneous}
  games = (
    gan.make(discriminator=scorer, discriminator_steps=steps, **shared),
    two_player.make(scorer=scorer, scorer_steps=steps, **shared),
  )
  ends = [jax.jit(train.make_scan(game, 5, toy.ring_batch))(train.init(game, KEY)) for game in games]
  chex.assert_trees_all_equal(*ends)
  samples = [game.sample(end.params, end.stats, KEY, 3) for game, (end, _) in zip(games, ends, strict=True)]
  np.testing.assert_array_equal(*samples)


def test_the_role_names_net_player_metrics_and_errors():
  game = plane_game(role="critic", estimate="w1", tx={"critic": SGD, "generator": SGD})
  assert set(game.nets) == set(game.players) == {"critic", "generator"}
  _, metrics = train.make_scan(game, 2, normal_batch)(train.init(game, KEY))
  names = {"critic/loss", "critic/real", "critic/fake", "critic/w1", "generator/loss"}
  assert set(metrics) == names
  np.testing.assert_array_equal(metrics["critic/w1"], -metrics["critic/loss"])
  with pytest.raises(ValueError, match="latent_dim is 2, critic_steps is 0"):
    plane_game(role="critic", scorer_steps=0)
  with pytest.raises(ValueError, match="move once: critic_steps is 2"):
    plane_game(role="critic", scorer_steps=2, simultaneous=True)
  with pytest.raises(ValueError, match="player 'critic' has no optimizer"):
    plane_game(role="critic", tx={"generator": SGD})


def test_the_penalty_is_added_with_its_weight_and_logged_without():
  """|w| = 5: (5 - 1)^2 = 16, and its gradient is 2 * 4 w / 5, so that 0.1 * 0.25 of it moves w by -0.04 w."""
  plain = plane_game(estimate="w1")
  game = plane_game(penalty=penalties.gradient_penalty, penalty_weight=0.25, estimate="w1")
  state, batch = train.init(game, KEY), normal_batch(KEY)
  (before, without), (after, metrics) = (train.play(g, ("discriminator",), state, batch, KEY) for g in (plain, game))
  np.testing.assert_allclose(metrics["discriminator/penalty"], 16.0, rtol=1e-5)
  np.testing.assert_allclose(metrics["discriminator/loss"], without["discriminator/loss"] + 4.0, rtol=1e-5)
  np.testing.assert_allclose(metrics["discriminator/w1"], without["discriminator/w1"], rtol=1e-6)
  moved = after.params["discriminator"]["w"] - before.params["discriminator"]["w"]
  np.testing.assert_allclose(moved, -0.04 * np.array([3.0, 4.0]), rtol=1e-4)
  # The generator's loss has no part of it, and what it would do to statistics is forgotten: the move counts as one call.
  generated = [train.play(g, ("generator",), state, batch, KEY)[0].params for g in (plain, game)]
  chex.assert_trees_all_equal(*generated)
  assert float(after.stats["discriminator"]["calls"]) == 1.0


class BatchNormScorer(nn.Module):
  @nn.compact
  def __call__(self, x, train: bool = True):
    return nn.BatchNorm(use_running_average=not train)(x).sum(1)


def test_the_penalty_sees_the_scorer_as_in_training():
  """By a batch's own statistics the scores sum to a constant, so R1 is 0; by running ones, at first 0 and 1, it is 1."""
  scorer = from_linen(BatchNormScorer(), toy.SPEC((1, 2), jnp.float32))
  plain, game = (plane_game(scorer=scorer, **options) for options in ({}, r1(1.0)))
  state, batch = train.init(game, KEY), normal_batch(KEY)
  (before, _), (after, metrics) = (train.play(g, ("discriminator",), state, batch, KEY) for g in (plain, game))
  assert float(metrics["discriminator/penalty"]) < 1e-6
  chex.assert_trees_all_equal(after.stats, before.stats)


def test_penalty_weights_are_an_axis():
  """One program for several weights: the penalty's part of the loss is proportional to each."""

  def first_move(weight):
    options = {"penalty": penalties.gradient_penalty, "penalty_weight": weight, "instance_noise": 0.1 * weight}
    game = plane_game(**options, estimate="w1")
    metrics = train.play(game, ("discriminator",), train.init(game, KEY), normal_batch(KEY), KEY)[1]
    return metrics["discriminator/loss"] + metrics["discriminator/w1"]

  np.testing.assert_allclose(jax.jit(jax.vmap(first_move))(jnp.array([0.0, 1.0, 3.0])), [0.0, 16.0, 48.0], rtol=1e-4)


def test_weight_and_noise_follow_a_schedule_of_the_round():
  weight = optax.linear_schedule(1.0, 3.0, 2)
  frozen = {"discriminator": optax.sgd(0.0), "generator": optax.sgd(0.0)}
  game = plane_game(
    tx=frozen,
    penalty=penalties.gradient_penalty,
    penalty_weight=weight,
    instance_noise=optax.piecewise_constant_schedule(100.0, {1: 0.0}),
    estimate="w1",
    scorer_steps=2,
  )
  _, metrics = jax.jit(train.make_scan(game, 4, normal_batch))(train.init(game, KEY))
  np.testing.assert_allclose(metrics["discriminator/loss"] + metrics["discriminator/w1"], [16, 32, 48, 48], rtol=1e-3)
  spread = np.abs(metrics["discriminator/w1"])
  assert spread[0] > 10.0 and max(spread[1:]) < 6.0


def recorded(game, player):
  """Everything that the scorer is shown in one move, in the order of its calls."""
  role, seen = next(name for name in game.nets if name != "generator"), []

  def apply(params, stats, x, key=None, train=True):
    jax.debug.callback(lambda x: seen.append(np.asarray(x)), x, ordered=True)
    return game.nets[role].apply(params, stats, x, key=key, train=train)

  return seen, lambda **settings: train.play(
    plane_game(scorer=game.nets[role]._replace(apply=apply), **settings),
    (player,),
    train.init(game, KEY),
    {"x": jnp.zeros((4000, 2))},
    KEY,
  )


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_noise_is_on_real_and_fake_in_both_moves(player):
  """Standard deviation 0.3 around the data, and around the samples that are there without noise; independent."""
  clean, play = recorded(plane_game(), player)
  play()
  noisy, play = recorded(plane_game(), player)
  play(instance_noise=0.3)
  jax.effects_barrier()
  real, fake = (n - c for n, c in zip(noisy, clean, strict=True))
  for noise in (real, fake):
    np.testing.assert_allclose([noise.mean(), noise.std()], [0.0, 0.3], atol=0.02)
  assert abs(np.corrcoef(real.ravel(), fake.ravel())[0, 1]) < 0.05


def test_noise_widens_the_scores_and_leaves_a_linear_r1():
  """Var w.(x + noise) = |w|^2 (1 + 0.3^2), and R1 is |w|^2 / 2 at whatever point."""
  spread = lambda critic, real, fake, key: jnp.var(critic(real))
  for sigma in (0.0, 0.3, 2.0):
    values = []
    for options in ({"penalty": spread}, r1(1.0)):
      game = plane_game(**options, instance_noise=sigma)
      _, metrics = train.play(game, ("discriminator",), train.init(game, KEY), normal_batch(KEY, 20000), KEY)
      values.append(metrics["discriminator/penalty"])
    np.testing.assert_allclose(values[0], 25.0 * (1.0 + sigma**2), rtol=0.05)
    np.testing.assert_allclose(values[1], 12.5, rtol=1e-5)


@pytest.mark.parametrize(
  ("loss", "options", "trace", "determinant"),
  [
    (adversarial.minimax(), {}, 0.0, 0.25),
    (adversarial.non_saturating(), {}, 0.0, 0.25),
    (adversarial.wasserstein(), {}, 0.0, 1.0),
    (adversarial.non_saturating(), r1(0.8), -0.8, 0.25),  # (-gamma +- sqrt(gamma^2 - 1)) / 2
    (adversarial.non_saturating(), {"instance_noise": 0.6}, -0.18, 0.25),  # -s^2 / 4 +- sqrt(s^4 / 16 - 1/4)
  ],
)
def test_the_dirac_gan_at_its_equilibrium(loss, options, trace, determinant):
  """One point against a linear score: the eigenvalues of both players' flow. Mescheder et al. 2018, section 3 and 4."""
  nets = {"generator": shift_generator((0.0,)), "scorer": linear_scorer((0.0,))}
  game = plane_game(**nets, loss=loss, latent_dim=1, prior=lambda key, shape: jnp.zeros(shape), **options)
  state, batch = train.init(game, KEY), {"x": jnp.zeros((100_000, 1))}

  def flow(point):
    params = {"generator": {"m": point[:1]}, "discriminator": {"w": point[1:]}}

    def gradient(name):
      return jax.grad(lambda own: game.players[name].loss({**params, name: own}, state, batch, KEY)[0])(params[name])

    return -jnp.concatenate([gradient("generator")["m"], gradient("discriminator")["w"]])

  jacobian = jax.jacobian(flow)(jnp.zeros(2))
  np.testing.assert_allclose([jnp.trace(jacobian), jnp.linalg.det(jacobian)], [trace, determinant], atol=2e-3)


def test_noise_of_zero_changes_nothing():
  ends = [
    train.make_scan(game, 3, normal_batch)(train.init(game, KEY))[0].params
    for game in (plane_game(), plane_game(instance_noise=0.0))
  ]
  chex.assert_trees_all_equal(*ends)


def test_projection_reaches_the_scorer_alone():
  game = plane_game(project=lambda params: jax.tree.map(jnp.zeros_like, params))
  state, _ = train.make_step(game)(train.init(game, KEY), {"x": normal_batch(KEY)["x"][None]})
  np.testing.assert_array_equal(state.params["discriminator"]["w"], 0.0)
  np.testing.assert_array_equal(state.params["generator"]["m"], 0.5)


def test_it_learns_with_everything_on():
  """Data N((2, -1), I), generator N(m, I), R1 and annealed noise: m comes to the data's mean for seeds and weights."""
  scorer = from_linen(mlp.Discriminator(hidden=(16,)), toy.SPEC((1, 2), jnp.float32))
  draw = lambda key: {"x": jnp.array([[2.0, -1.0]]) + jax.random.normal(key, (128, 2))}

  def mean(key, weight):
    game = plane_game(
      scorer=scorer,
      loss=adversarial.non_saturating(smoothing=0.1),
      tx=optax.adam(optax.linear_schedule(2e-2, 0.0, 600), b1=0.5),
      **r1(weight),
      instance_noise=optax.linear_schedule(1.0, 0.0, 400),
    )
    return train.make_scan(game, 600, draw)(train.init(game, key))[0].params["generator"]["m"]

  means = jax.jit(jax.vmap(mean))(jax.random.split(KEY, 3), jnp.array([0.1, 0.3, 1.0]))
  np.testing.assert_allclose(means, jnp.tile(jnp.array([[2.0, -1.0]]), (3, 1)), atol=0.25)


def bilinear_game(**settings):
  """max over d, min over g of d.g: WGAN with linear networks, data at 0, z = 0; the parameters are vectors of two."""
  generator = Net(
    lambda key: ({"m": jnp.array([1.0, 0.0])}, {}), lambda p, s, z, key=None, train=True: (p["m"][None] + 0 * z, s)
  )
  scorer = Net(lambda key: ({"w": jnp.array([0.0, 1.0])}, {}), lambda p, s, x, key=None, train=True: (x @ p["w"], s))
  tx = optax.sgd(0.1)
  return two_player.make(
    generator=generator, scorer=scorer, loss=adversarial.wasserstein(), tx=tx, latent_dim=2, **settings
  )


@pytest.mark.parametrize(
  ("settings", "growth"),
  [({"simultaneous": True}, 1 + 0.1**2), ({"extra_gradient": True}, 1 - 0.1**2 + 0.1**4)],
)
def test_extra_gradient_converges_where_gradient_descent_diverges(settings, growth):
  """Squared radius per step of h = 0.1 on the bilinear game: 1 + h^2 for one, 1 - h^2 + h^4 for the other."""
  game = bilinear_game(**settings)
  state = train.init(game, KEY)
  state, _ = jax.jit(train.make_scan(game, 300, lambda key: {"x": jnp.zeros((4, 2))}))(state)
  radius = np.hypot(np.linalg.norm(state.params["generator"]["m"]), np.linalg.norm(state.params["discriminator"]["w"]))
  np.testing.assert_allclose(radius, np.sqrt(2.0) * growth**150, rtol=1e-4)


def test_a_discriminator_move_is_one_power_iteration():
  """Real and generated data are scored with the same sigma, and u moves once: u <- unit(W^T unit(W u))."""
  game = toy.ring_game()
  spec = from_linen(mlp.Discriminator(hidden=(16,), spectral_norm=True), toy.SPEC((1, 2), jnp.float32))
  game = two_player.make(generator=game.nets["generator"], scorer=spec, loss=adversarial.hinge(), tx=SGD, latent_dim=4)
  state = train.init(game, KEY)
  after, _ = train.play(game, ("discriminator",), state, normal_batch(KEY), KEY)
  old, new = (jax.tree.leaves(s.stats["discriminator"]["spectral"]) for s in (state, after))
  kernels = [w for w in jax.tree.leaves(state.params["discriminator"]) if w.ndim == 2]
  for u, moved in zip(old, new, strict=True):
    w = next(np.asarray(w) for w in kernels if w.shape[1] == len(u))
    expected = w.T @ (w @ u)
    np.testing.assert_allclose(moved, expected / np.linalg.norm(expected), rtol=1e-4, atol=1e-6)
