"""A generator against one scorer: the frame of every paper in which two networks and one score play."""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from gan_jax import optim
from gan_jax.game import Aux, Game, Move, Net, Optimizers, Player, optimizer_of
from gan_jax.games import statistics
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
  frame = _Frame(generator, scorer, role, latent_dim, prior, instance_noise, noise_aware)
  scorer_loss = _scorer_loss(frame, loss, penalty, penalty_weight, estimate)
  optimizers = _optimizers(tx, role, extra_gradient)
  return Game(
    nets={"generator": generator, role: scorer},
    players={
      role: Player((role,), scorer_loss, optimizers[role], lambda owned: {role: project(owned[role])}),
      "generator": Player(("generator",), _generator_loss(frame, loss), optimizers["generator"]),
    },
    moves=_moves(role, scorer_steps, simultaneous, extra_gradient),
    sample=lambda params, stats, key, n: frame.generate(params, stats, key, n, train=False)[0],
  )


class _Frame(NamedTuple):
  """What both players' losses are made of: the nets, the latents and the noise, each as in `make`."""

  generator: Net
  scorer: Net
  role: str
  latent_dim: int
  prior: Prior
  instance_noise: Scheduled | None
  noise_aware: bool

  def generate(self, params, stats, key, n, train):
    z_key, net_key = jax.random.split(key)
    z = self.prior(z_key, (n, self.latent_dim))
    return self.generator.apply(params["generator"], stats["generator"], z, key=net_key, train=train)

  def score(self, params, stats, x, key, step):
    told = (jnp.asarray(at(self.instance_noise, step), x.dtype),) if self.noise_aware else ()
    return self.scorer.apply(params[self.role], stats, x, *told, key=key)

  def play(self, params, state, batch, keys):
    """What the scorer is shown, real and generated; its scores of them; and the statistics that this moved."""
    generate_key, real_key, fake_key, noise_key = keys
    fake, generator_stats = self.generate(params, state.stats, generate_key, len(batch["x"]), train=True)
    chex.assert_equal_shape([fake, batch["x"]])
    shown = noisy((batch["x"], fake), self.instance_noise, state.step, noise_key)
    before = state.stats[self.role]
    real_score, stats = self.score(params, before, shown[0], real_key, state.step)
    fake_score, fake_stats = self.score(params, before, shown[1], fake_key, state.step)
    moved = {"generator": generator_stats, self.role: statistics.mean(stats, fake_stats)}
    return shown, (real_score, fake_score), moved


def _scorer_loss(
  frame: _Frame, loss: AdversarialLoss, penalty: Penalty | None, penalty_weight: Scheduled, estimate: str | None
) -> Callable[..., tuple[jax.Array, Aux]]:
  """The scorer's side of the loss and its penalty."""

  def scorer_loss(params, state, batch, key):
    *keys, critic_key, penalty_key = jax.random.split(key, 6)
    shown, (real, fake), stats = frame.play(params, state, batch, keys)
    value = loss.discriminator(real, fake)
    metrics = {"real": jnp.mean(real), "fake": jnp.mean(fake)}
    if estimate is not None:
      metrics[estimate] = -value
    if penalty is not None:
      critic = lambda x: frame.score(params, state.stats[frame.role], x, critic_key, state.step)[0]
      metrics["penalty"] = penalty(critic, *shown, penalty_key)
      value = value + at(penalty_weight, state.step) * metrics["penalty"]
    return value, Aux({frame.role: stats[frame.role]}, metrics=metrics)

  return scorer_loss


def _generator_loss(frame: _Frame, loss: AdversarialLoss) -> Callable[..., tuple[jax.Array, Aux]]:
  """The generator's side of the loss."""

  def generator_loss(params, state, batch, key):
    _, (real, fake), stats = frame.play(params, state, batch, jax.random.split(key, 4))
    return loss.generator(fake, real), Aux({"generator": stats["generator"]})

  return generator_loss


def _moves(role: str, scorer_steps: int, simultaneous: bool, extra_gradient: bool) -> tuple[Move, ...]:
  """One round."""
  if extra_gradient:
    return (Move((role, "generator"), repeat=2),)
  if simultaneous:
    return (Move((role, "generator")),)
  return (Move((role,), scorer_steps), Move(("generator",), draws=False))


def _optimizers(tx: Optimizers, role: str, extra_gradient: bool) -> dict[str, optax.GradientTransformation]:
  """Each player's optimiser."""
  both = {player: optimizer_of(tx, player) for player in (role, "generator")}
  return {player: optim.extra_gradient(each) for player, each in both.items()} if extra_gradient else both


def noisy(
  shown: tuple[jax.Array, ...], deviation: Scheduled | None, step: jax.Array, key: jax.Array
) -> list[jax.Array]:
  """Adds N(0, deviation^2) to every entry of each array [B, ...]; None adds nothing. Sønderby et al. 2017."""
  if deviation is None:
    return list(shown)
  keys = jax.random.split(key, len(shown))
  return [x + at(deviation, step) * jax.random.normal(k, x.shape, x.dtype) for x, k in zip(shown, keys)]


def at(value: Scheduled, step: jax.Array) -> Number:
  """A number as it is, or what a schedule says for a round."""
  with jax.numpy_dtype_promotion("standard"):  # optax mixes its integer counters with floats
    return value(step) if callable(value) else value
