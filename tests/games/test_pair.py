"""A generator against a critic: what each option of `gan.pair` should change, through `gan.make` and `wgan.make`."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax import train
from gan_jax.errors import ConfigError
from gan_jax.game import Net, NetSpec
from gan_jax.games import fgan, gan, wgan
from gan_jax.losses import adversarial, divergences, penalties
from gan_jax.nets import mlp
from gan_jax.nets.adapt import from_linen

import toy

KEY = jax.random.key(11)
SGD = optax.sgd(0.1)


def shift_generator(m=(0.5, 0.5)) -> Net:
  """x = m + z."""
  return Net(lambda key: ({"m": jnp.array(m)}, {}), lambda p, s, z, key=None, train=True: (p["m"][None] + z, s))


def linear_critic(w=(3.0, 4.0)) -> Net:
  """w.x, and how often it was applied in training."""

  def apply(p, s, x, key=None, train=True):
    return x @ p["w"], {"calls": s["calls"] + 1.0} if train else s

  return Net(lambda key: ({"w": jnp.array(w)}, {"calls": jnp.zeros(())}), apply)


def plane_game(**settings):
  defaults = {"generator": shift_generator(), "discriminator": linear_critic(), "loss": adversarial.wasserstein()}
  return gan.make(**{**defaults, "tx": SGD, "latent_dim": 2, **settings})


def r1(weight):
  return {"penalty": penalties.r1, "penalty_weight": weight}


def w1(metrics):
  """Minus the critic's loss without penalty."""
  return metrics["discriminator/real"] - metrics["discriminator/fake"]


def normal_batch(key, n=32):
  return {"x": jax.random.normal(key, (n, 2))}


def test_a_pair_is_what_its_losses_say():
  """Losses of one's own see real and fake scores, and the critic has the name of its net."""
  nets = {"generator": shift_generator(), "critic": linear_critic()}
  gap = lambda play: (play.real - play.fake).mean()
  settings = {"tx": {"critic": SGD, "generator": SGD}, "latent_dim": 2}
  mine = gan.pair(nets, lambda play: (-gap(play), {"gap": gap(play)}), lambda play: -play.fake.mean(), 2, **settings)
  theirs = wgan.make(**nets, critic_steps=2, clip=np.inf, **settings)
  assert set(mine.nets) == set(mine.players) == {"critic", "generator"} and mine.draws == 2
  (one, metrics), (other, _) = (
    train.make_scan(game, 3, normal_batch)(train.init(game, KEY)) for game in (mine, theirs)
  )
  chex.assert_trees_all_close(one.params, other.params, rtol=1e-6)
  of_both = {f"{player}/{what}" for player in ("critic", "generator") for what in ("loss", "gradient")}
  assert set(metrics) == of_both | {"critic/real", "critic/fake", "critic/gap"}
  np.testing.assert_array_equal(metrics["critic/gap"], -metrics["critic/loss"])


def test_the_critics_name_is_in_the_errors():
  critic = {"generator": shift_generator(), "critic": linear_critic(), "tx": SGD, "latent_dim": 2}
  with pytest.raises(ConfigError, match="critic_steps is 0; it has to be at least 1"):
    wgan.make(**critic, critic_steps=0)
  with pytest.raises(ConfigError, match="move once: critic_steps is 5"):
    wgan.make(**critic, simultaneous=True)
  with pytest.raises(ValueError, match="player 'critic' has no optimizer"):
    wgan.make(**{**critic, "tx": {"generator": SGD}})


def test_the_penalty_is_added_with_its_weight_and_logged_without():
  """|w| = 5: (5 - 1)^2 = 16, and its gradient is 2 * 4 w / 5, so that 0.1 * 0.25 of it moves w by -0.04 w."""
  plain = plane_game()
  game = plane_game(penalty=penalties.gradient_penalty, penalty_weight=0.25)
  state, batch = train.init(game, KEY), normal_batch(KEY)
  (before, without), (after, metrics) = (train.play(g, ("discriminator",), state, batch, KEY) for g in (plain, game))
  np.testing.assert_allclose(metrics["discriminator/penalty"], 16.0, rtol=1e-5)
  np.testing.assert_allclose(metrics["discriminator/loss"], without["discriminator/loss"] + 4.0, rtol=1e-5)
  np.testing.assert_allclose(w1(metrics), w1(without), rtol=1e-6)
  moved = after.params["discriminator"]["w"] - before.params["discriminator"]["w"]
  np.testing.assert_allclose(moved, -0.04 * np.array([3.0, 4.0]), rtol=1e-4)
  # The generator's loss has no part of it, and what it would do to statistics is forgotten: one call is counted.
  generated = [train.play(g, ("generator",), state, batch, KEY)[0].params for g in (plain, game)]
  chex.assert_trees_all_equal(*generated)
  assert float(after.stats["discriminator"]["calls"]) == 1.0


class BatchNormCritic(nn.Module):
  @nn.compact
  def __call__(self, x, train: bool = True):
    return nn.BatchNorm(use_running_average=not train)(x).sum(1)


def test_the_penalty_sees_the_critic_as_in_training():
  """By a batch's own statistics the scores sum to a constant, so R1 is 0; by running ones, 0 and 1 at first, 1."""
  critic = from_linen(BatchNormCritic(), toy.SPEC((1, 2), jnp.float32))
  plain, game = (plane_game(discriminator=critic, **options) for options in ({}, r1(1.0)))
  state, batch = train.init(game, KEY), normal_batch(KEY)
  (before, _), (after, metrics) = (train.play(g, ("discriminator",), state, batch, KEY) for g in (plain, game))
  assert float(metrics["discriminator/penalty"]) < 1e-6
  chex.assert_trees_all_equal(after.stats, before.stats)


def test_penalty_weights_are_an_axis():
  """One program for several weights: the penalty's part of the loss is proportional to each."""

  def first_move(weight):
    options = {"penalty": penalties.gradient_penalty, "penalty_weight": weight, "instance_noise": 0.1 * weight}
    game = plane_game(**options)
    metrics = train.play(game, ("discriminator",), train.init(game, KEY), normal_batch(KEY), KEY)[1]
    return metrics["discriminator/loss"] + w1(metrics)

  np.testing.assert_allclose(jax.jit(jax.vmap(first_move))(jnp.array([0.0, 1.0, 3.0])), [0.0, 16.0, 48.0], rtol=1e-4)


def test_weight_and_noise_follow_a_schedule_of_the_round():
  weight = optax.linear_schedule(1.0, 3.0, 2)
  frozen = {"discriminator": optax.sgd(0.0), "generator": optax.sgd(0.0)}
  game = plane_game(
    tx=frozen,
    penalty=penalties.gradient_penalty,
    penalty_weight=weight,
    instance_noise=optax.piecewise_constant_schedule(100.0, {1: 0.0}),
    discriminator_steps=2,
  )
  _, metrics = jax.jit(train.make_scan(game, 4, normal_batch))(train.init(game, KEY))
  np.testing.assert_allclose(metrics["discriminator/loss"] + w1(metrics), [16, 32, 48, 48], rtol=1e-3)
  spread = np.abs(w1(metrics))
  assert spread[0] > 10.0 and max(spread[1:]) < 6.0


def recorded(game, player):
  """Everything that the critic sees in one move, in the order of its calls."""
  critic, seen = game.nets["discriminator"], []

  def apply(params, stats, x, key=None, train=True):
    jax.debug.callback(lambda x: seen.append(np.asarray(x)), x, ordered=True)
    return critic.apply(params, stats, x, key=key, train=train)

  return seen, lambda **settings: train.play(
    plane_game(discriminator=critic._replace(apply=apply), **settings),
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
  nets = {"generator": shift_generator((0.0,)), "discriminator": linear_critic((0.0,))}
  game = plane_game(**nets, loss=loss, latent_dim=1, prior=lambda key, shape: jnp.zeros(shape), **options)
  state, batch = train.init(game, KEY), {"x": jnp.zeros((100_000, 1))}

  def flow(point):
    params = {"generator": {"m": point[:1]}, "discriminator": {"w": point[1:]}}

    def gradient(name):
      return jax.grad(lambda own: game.players[name].loss({**params, name: own}, state, batch, KEY)[0])(params[name])

    return -jnp.concatenate([gradient("generator")["m"], gradient("discriminator")["w"]])

  jacobian = jax.jacobian(flow)(jnp.zeros(2))
  np.testing.assert_allclose([jnp.trace(jacobian), jnp.linalg.det(jacobian)], [trace, determinant], atol=2e-3)


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_augmentation_is_of_real_and_fake_in_both_moves_and_before_noise(player):
  """x -> 2 x + c with a c of its own for each: the noise that comes after it is not doubled."""
  clean, play = recorded(plane_game(), player)
  play()
  for noise, spread in ((None, 0.0), (0.3, 0.3)):
    seen, play = recorded(plane_game(), player)
    play(augment=lambda key, x: 2.0 * x + jax.random.normal(key, (1, 1)), instance_noise=noise)
    jax.effects_barrier()
    real, fake = (s - 2.0 * c for s, c in zip(seen, clean, strict=True))
    np.testing.assert_allclose([real.std(), fake.std()], [spread, spread], atol=0.02)
    assert abs(real.mean() - fake.mean()) > 0.1


def test_the_generators_gradient_passes_through_the_augmentation():
  """-E[w.(3 x)] has the gradient -3 w in m, and SGD's rate is 0.1."""
  game = plane_game(augment=lambda key, x: 3.0 * x)
  after, _ = train.play(game, ("generator",), train.init(game, KEY), normal_batch(KEY), KEY)
  np.testing.assert_allclose(after.params["generator"]["m"], [0.5 + 0.9, 0.5 + 1.2], rtol=1e-6)


def test_penalties_are_taken_where_the_critic_looks():
  """What a penalty is given is augmented, and the critic that it is given does not augment again."""
  penalty = lambda critic, real, fake, key: jnp.mean(critic(real)) + 10.0 * jnp.mean(fake[:, 0])
  game = plane_game(augment=lambda key, x: 0.0 * x + jnp.array([[1.0, 2.0]]), penalty=penalty)
  _, metrics = train.play(game, ("discriminator",), train.init(game, KEY), normal_batch(KEY), KEY)
  np.testing.assert_allclose(metrics["discriminator/penalty"], (3.0 + 8.0) + 10.0, rtol=1e-6)


def test_what_a_trained_game_is_asked_for_is_not_augmented():
  plain, game = plane_game(), plane_game(augment=lambda key, x: 0.0 * x)
  nets, x = (train.init(game, KEY).params, train.init(game, KEY).stats), normal_batch(KEY, 5)["x"]
  for ask in (lambda g: g.sample(*nets, KEY, 5), lambda g: g.score(*nets, x)):
    np.testing.assert_array_equal(ask(game), ask(plain))
  features = plane_game(
    discriminator=linear_critic()._replace(features=lambda p, s, x: x), augment=game.sample
  ).features
  np.testing.assert_array_equal(features(*nets, x), x)


@pytest.mark.parametrize("options", [{}, {"instance_noise": 0.3, "penalty": penalties.gradient_penalty}])
def test_augmentation_that_does_nothing_changes_no_random_number(options):
  """So runs without it are what they were before there was any."""
  ends = [
    train.make_scan(game, 3, normal_batch)(train.init(game, KEY))
    for game in (plane_game(**options), plane_game(augment=lambda key, x: x, **options))
  ]
  chex.assert_trees_all_equal(*ends)


def test_noise_of_zero_changes_nothing():
  ends = [
    train.make_scan(game, 3, normal_batch)(train.init(game, KEY))[0].params
    for game in (plane_game(), plane_game(instance_noise=0.0))
  ]
  chex.assert_trees_all_equal(*ends)


def test_projection_reaches_the_critic_alone():
  game = plane_game(project=lambda params: jax.tree.map(jnp.zeros_like, params))
  state, _ = train.make_step(game)(train.init(game, KEY), {"x": normal_batch(KEY)["x"][None]})
  np.testing.assert_array_equal(state.params["discriminator"]["w"], 0.0)
  np.testing.assert_array_equal(state.params["generator"]["m"], 0.5)


def test_it_learns_with_everything_on():
  """Data N((2, -1), I), generator N(m, I), R1 and annealed noise: m comes to the data's mean for seeds and weights."""
  critic = from_linen(mlp.Discriminator(hidden=(16,)), toy.SPEC((1, 2), jnp.float32))
  draw = lambda key: {"x": jnp.array([[2.0, -1.0]]) + jax.random.normal(key, (128, 2))}

  def mean(key, weight):
    game = plane_game(
      discriminator=critic,
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
  critic = Net(lambda key: ({"w": jnp.array([0.0, 1.0])}, {}), lambda p, s, x, key=None, train=True: (x @ p["w"], s))
  tx = optax.sgd(0.1)
  return gan.make(
    generator=generator, discriminator=critic, loss=adversarial.wasserstein(), tx=tx, latent_dim=2, **settings
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
  game = gan.make(generator=game.nets["generator"], discriminator=spec, loss=adversarial.hinge(), tx=SGD, latent_dim=4)
  state = train.init(game, KEY)
  after, _ = train.play(game, ("discriminator",), state, normal_batch(KEY), KEY)
  old, new = (jax.tree.leaves(s.stats["discriminator"]["spectral"]) for s in (state, after))
  kernels = [w for w in jax.tree.leaves(state.params["discriminator"]) if w.ndim == 2]
  for u, moved in zip(old, new, strict=True):
    w = next(np.asarray(w) for w in kernels if w.shape[1] == len(u))
    expected = w.T @ (w @ u)
    np.testing.assert_allclose(moved, expected / np.linalg.norm(expected), rtol=1e-4, atol=1e-6)


def test_a_noise_conditional_critic_sees_the_level_in_both_moves_and_none_in_evaluation():
  levels = []

  def apply(p, s, x, level, key=None, train=True):
    jax.debug.callback(lambda level: levels.append(np.asarray(level)), level, ordered=True)
    return x @ p["w"], s

  critic = linear_critic()._replace(init=lambda key: ({"w": jnp.array([3.0, 4.0])}, {}), apply=apply)
  noise = optax.linear_schedule(0.5, 0.0, 2)
  game = plane_game(discriminator=critic, instance_noise=noise, noise_conditional=True, **r1(1.0))
  state = train.init(game, KEY).replace(step=jnp.array(1, jnp.int32))
  for player in ("discriminator", "generator"):
    train.play(game, (player,), state, normal_batch(KEY, 4), KEY)
  jax.effects_barrier()
  assert len(levels) >= 5
  for level in levels:
    np.testing.assert_allclose(level, np.full(4, 0.25))
  levels.clear()
  game.score(state.params, state.stats, jnp.zeros((3, 2)))
  jax.effects_barrier()
  np.testing.assert_array_equal(levels, np.zeros((1, 3)))
  with pytest.raises(ConfigError, match="the level of an instance_noise that is not there"):
    plane_game(noise_conditional=True)


def test_a_noise_conditional_game_is_that_of_one_level_for_all_bit_for_bit():
  """Both moves, R1 included, against a critic that fades its Fourier features by one number, as it once was given."""
  critic = mlp.discriminator(NetSpec(((2,), ()), ()), hidden=(8,), activation=nn.softplus, fourier=4)

  def by_hand(params, stats, x, level, key=None, train=True):
    w = stats["waves"]["FourierFeatures_0"]["w"]
    fade = jnp.exp(-0.5 * jnp.square(level[0] * jnp.linalg.norm(w, axis=0)))[None]
    x = jnp.concatenate([x, jnp.cos(x @ w) * fade, jnp.sin(x @ w) * fade], -1)
    x = nn.softplus(x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"][None])
    return (x @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"][None])[:, 0], stats

  ends = []
  for net in (critic, critic._replace(apply=by_hand)):
    game = plane_game(discriminator=net, instance_noise=0.4, noise_conditional=True, **r1(0.1))
    state = train.init(game, KEY)
    for player in ("discriminator", "generator"):
      state, metrics = train.play(game, (player,), state, normal_batch(KEY), KEY)
      ends.append((state.params, metrics))
  chex.assert_trees_all_equal(ends[:2], ends[2:])


def test_samples_and_scores_are_those_outside_of_training():
  """By running statistics, at first 0 and 1, which stay as they are; not by those of the batch."""
  critic = from_linen(BatchNormCritic(), toy.SPEC((1, 2), jnp.float32))
  off_by_100 = lambda p, s, z, key=None, train=True: (100.0 * train + z, s)  # in training
  generator = shift_generator()._replace(apply=off_by_100)
  game = plane_game(generator=generator, discriminator=critic)
  state = train.init(game, KEY)
  x = 3.0 + jax.random.normal(KEY, (5, 2))
  np.testing.assert_allclose(game.score(state.params, state.stats, x), x.sum(1), rtol=1e-4)
  np.testing.assert_array_equal(game.sample(state.params, state.stats, KEY, 5, latents=x), x)


def test_a_round_leaks_no_tracer():
  """With a penalty, whose function of the critic is differentiated within the loss."""
  game = plane_game(penalty=penalties.gradient_penalty, instance_noise=0.1, discriminator_steps=2)
  state = train.init(game, KEY)
  with jax.checking_leaks():
    jax.jit(train.make_step(game)).lower(state, {"x": jnp.zeros((2, 4, 2))})


def test_samples_decode_latents_that_are_given_and_scores_are_the_critics():
  game = plane_game()
  state = train.init(game, KEY)
  z = jnp.array([[1.0, 2.0], [-3.0, 0.5]])
  np.testing.assert_allclose(game.sample(state.params, state.stats, KEY, 2, latents=z), z + 0.5)
  np.testing.assert_allclose(game.score(state.params, state.stats, z), z @ jnp.array([3.0, 4.0]))


@pytest.mark.parametrize("data_first", [True, False])
def test_scores_rise_where_the_data_is_in_either_orientation_of_an_f_divergence(data_first):
  """A discriminator that knows nothing takes one step, on data at (2, 0) and samples around (-2, 0)."""
  nets = {"generator": shift_generator((-2.0, 0.0)), "discriminator": linear_critic((0.0, 0.0))}
  game = fgan.make(**nets, divergence=divergences.kl(), data_first=data_first, tx=SGD, latent_dim=2)
  batch = {"x": jnp.tile(jnp.array([[2.0, 0.0]]), (32, 1))}
  state, _ = train.play(game, ("discriminator",), train.init(game, KEY), batch, KEY)
  left, right = game.score(state.params, state.stats, jnp.array([[-2.0, 0.0], [2.0, 0.0]]))
  assert right > 0.1 > -0.1 > left
