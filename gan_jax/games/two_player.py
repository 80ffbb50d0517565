"""A generator against one scorer: the frame of every paper in which two networks and one score play."""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

from gan_jax import optim
from gan_jax.game import Aux, Game, Move, Net, Optimizers, Player, optimizer_of
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.penalties import Critic

Number = float | jax.Array
Scheduled = Number | Callable[[jax.Array], Number]  # a number, or a schedule of the round as optax has them
Prior = Callable[[jax.Array, tuple[int, ...]], jax.Array]
Penalty = Callable[[Critic, jax.Array, jax.Array, jax.Array], jax.Array]


def make(
  *,
  generator: Net,
  scorer: Net,
  loss: AdversarialLoss,
  tx: Optimizers,
  role: str = "discriminator",
  penalty: Penalty | None = None,
  penalty_weight: Scheduled = 1.0,
  project: Callable[[Any], Any] = lambda params: params,
  instance_noise: Scheduled | None = None,
  noise_aware: bool = False,
  estimate: str | None = None,
  latent_dim: int = 64,
  prior: Prior = jax.random.normal,
  scorer_steps: int = 1,
  simultaneous: bool = False,
  extra_gradient: bool = False,
) -> Game:
  """The game of a generator against a scorer.

  The scorer logs its mean scores "real" and "fake", and what `penalty` and `estimate` say below.

  Args:
    generator: latents [B, latent_dim] to data [B, ...].
    scorer: data [B, ...] to raw scores [B].
    loss: what each of them minimises.
    tx: one optimiser for both players, or a mapping with one for `role` and one for "generator".
    role: the scorer's name, as net and as player: "discriminator", or "critic" where the score is no logit.
    penalty: `(critic, real, fake, key) -> scalar`, added to the scorer's loss times `penalty_weight` and logged,
      without the weight, as "penalty". `critic: x -> [B]` scores as in training; statistics that it would move are
      forgotten.
    penalty_weight: a number, or a schedule of the round.
    project: applied to the scorer's parameters after each of its updates.
    instance_noise: standard deviation, in units of the data, of Gaussian noise on everything that the scorer is shown,
      real and generated, in both players' moves and in the penalty; a number, a schedule of the round, or None for no
      noise. Sønderby et al. 2017; Arjovsky and Bottou 2017, section 3.
    noise_aware: the scorer is told how much noise there is, as a second input, a scalar: it maps [B, ...] and [] to [B].
    estimate: the name under which minus the scorer's loss without penalty is logged, where that estimates a distance.
    latent_dim: size of the latent z.
    prior: `(key, shape) -> z`.
    scorer_steps: scorer moves a round, each with a batch and latents of its own.
    simultaneous: both players move at once from the same state, in place of one after the other.
    extra_gradient: both players move at once, twice: a look ahead, and a step from the start with the gradient found there,
      each with a batch and latents of its own. See `optim.extra_gradient`.

  Raises:
    ValueError: if `latent_dim` or `scorer_steps` is below 1, the players move at once and the scorer moves more than
      once, or it is to be told of noise that there is not.
  """
  if latent_dim < 1 or scorer_steps < 1:
    raise ValueError(f"latent_dim is {latent_dim}, {role}_steps is {scorer_steps}; both have to be at least 1")
  if noise_aware and instance_noise is None:
    raise ValueError(f"noise_aware tells the {role} of an instance_noise that is not there")
  if (simultaneous or extra_gradient) and scorer_steps != 1:
    raise ValueError(f"players that move at once move once: {role}_steps is {scorer_steps}, not 1")

  def generate(params, stats, key, n, train):
    z_key, net_key = jax.random.split(key)
    z = prior(z_key, (n, latent_dim))
    return generator.apply(params["generator"], stats["generator"], z, key=net_key, train=train)

  def noisy(x, key, step):
    if instance_noise is None:
      return x
    return x + at(instance_noise, step) * jax.random.normal(key, x.shape, x.dtype)

  def score(params, stats, x, key, step):
    told = (jnp.asarray(at(instance_noise, step), x.dtype),) if noise_aware else ()
    return scorer.apply(params[role], stats, x, *told, key=key)

  def play(params, state, batch, keys):
    """What the scorer is shown, real and generated; its scores of them; and the statistics that this moved."""
    generate_key, real_key, fake_key, noise_key = keys
    fake, generator_stats = generate(params, state.stats, generate_key, len(batch["x"]), train=True)
    chex.assert_equal_shape([fake, batch["x"]])
    shown = [noisy(x, key, state.step) for x, key in zip((batch["x"], fake), jax.random.split(noise_key))]
    real_score, stats = score(params, state.stats[role], shown[0], real_key, state.step)
    fake_score, fake_stats = score(params, state.stats[role], shown[1], fake_key, state.step)
    return shown, (real_score, fake_score), {"generator": generator_stats, role: jax.tree.map(_mean, stats, fake_stats)}

  def scorer_loss(params, state, batch, key):
    *keys, critic_key, penalty_key = jax.random.split(key, 6)
    shown, (real, fake), stats = play(params, state, batch, keys)
    value = loss.discriminator(real, fake)
    metrics = {"real": jnp.mean(real), "fake": jnp.mean(fake)}
    if estimate is not None:
      metrics[estimate] = -value
    if penalty is not None:
      critic = lambda x: score(params, state.stats[role], x, critic_key, state.step)[0]
      metrics["penalty"] = penalty(critic, *shown, penalty_key)
      value = value + at(penalty_weight, state.step) * metrics["penalty"]
    return value, Aux({role: stats[role]}, metrics=metrics)

  def generator_loss(params, state, batch, key):
    _, (real, fake), stats = play(params, state, batch, jax.random.split(key, 4))
    return loss.generator(fake, real), Aux({"generator": stats["generator"]})

  def sample(params, stats, key, n):
    return generate(params, stats, key, n, train=False)[0]

  if extra_gradient:
    moves = (Move((role, "generator"), repeat=2),)
  elif simultaneous:
    moves = (Move((role, "generator")),)
  else:
    moves = (Move((role,), scorer_steps), Move(("generator",), draws=False))
  optimizers = {player: optimizer_of(tx, player) for player in (role, "generator")}
  if extra_gradient:
    optimizers = {player: optim.extra_gradient(optimizer) for player, optimizer in optimizers.items()}
  return Game(
    nets={"generator": generator, role: scorer},
    players={
      role: Player((role,), scorer_loss, optimizers[role], lambda owned: {role: project(owned[role])}),
      "generator": Player(("generator",), generator_loss, optimizers["generator"]),
    },
    moves=moves,
    sample=sample,
  )


def _mean(real: jax.Array, fake: jax.Array) -> jax.Array:
  """What one move makes of a statistic: real and generated data are scored from the same one, and count alike."""
  return 0.5 * (real + fake) if jnp.issubdtype(real.dtype, jnp.floating) else real


def at(value: Scheduled, step: jax.Array) -> Number:
  """A number as it is, or what a schedule says for a round."""
  with jax.numpy_dtype_promotion("standard"):  # optax mixes its integer counters with floats
    return value(step) if callable(value) else value
