"""A generator against a discriminator, with any adversarial pair of losses. Goodfellow et al. 2014."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from gan_jax import optim, priors
from gan_jax.augment import Augment
from gan_jax.errors import ConfigError, at_least_one
from gan_jax.forward import Forward, forward
from gan_jax.game import Aux, DataSpec, Game, Move, Net, NetSpec, Number, Optimizers, Player, Scheduled, optimizer_of
from gan_jax.games._abilities import judgements, sampler
from gan_jax.games._extends import extends
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.losses.penalties import Critic, Penalty
from gan_jax.optim import at


def specs(data: DataSpec, *, latent_dim: int, noise_conditional: bool = False, **_: Any) -> dict[str, NetSpec]:
  """A generator z -> x, and a discriminator x -> score, or (x, level of noise) -> score if it is noise-conditional.

  Raises:
    ConfigError: if `latent_dim` is below 1.
  """
  at_least_one("latent_dim", latent_dim)
  seen = (data.x, ()) if noise_conditional else (data.x,)
  return {"generator": NetSpec(((latent_dim,),), data.x), "discriminator": NetSpec(seen, ())}


class Play(NamedTuple):
  """One batch as the critic sees it, of which both players' losses are made.

  Attributes:
    real: scores of the data, [B].
    fake: scores of generated data, [B].
    seen: the data and the generated data themselves, [B, ...] each, augmented and with their noise.
    critic: `x -> scores` in training, a pure function, for penalties.
    key: for what a penalty draws.
    step: rounds played.
  """

  real: jax.Array
  fake: jax.Array
  seen: tuple[jax.Array, jax.Array]
  critic: Critic
  key: jax.Array
  step: jax.Array


def pair(
  nets: Mapping[str, Net],
  critic_loss: Callable[[Play], tuple[jax.Array, dict[str, jax.Array]]],
  generator_loss: Callable[[Play], jax.Array],
  critic_steps: int = 1,
  project: Callable[[Any], Any] = lambda params: params,
  *,
  tx: Optimizers,
  latent_dim: int,
  prior: priors.Prior = priors.normal,
  augment: Augment | None = None,
  instance_noise: Scheduled | None = None,
  noise_conditional: bool = False,
  simultaneous: bool = False,
  extra_gradient: bool = False,
) -> Game:
  """The game of a generator against a critic, which owns the other net and has its name.

  Args:
    nets: "generator", latents [B, latent_dim] to data [B, ...], and one more, data to raw scores [B].
    critic_loss: of a `Play`, what the critic minimises, and metrics to log beside its mean scores "real" and "fake".
    generator_loss: of a `Play`, what the generator minimises.
    critic_steps: critic moves a round, each with a batch and latents of its own.
    project: applied to the critic's parameters after each of its updates.
    tx: one optimizer for both players, or a mapping by name.
    latent_dim: size of the latent z.
    prior: `(key, shape) -> z`.
    augment: `(key, x) -> x`, such as `augment.differentiable`, of all that the critic sees in training, real and
      generated, in both players' moves and in penalties, each with draws of its own. Zhao et al. 2020.
    instance_noise: standard deviation, in units of the data, of Gaussian noise on all of this; a number, a schedule of
      the round, or None. Sønderby et al. 2017; Arjovsky and Bottou 2017.
    noise_conditional: the critic sees how much noise there is, as a second input [B].
    simultaneous: both players move at once from the same state, not one after the other.
    extra_gradient: both move at once, twice, each time on a batch and latents of its own: `optim.extra_gradient`.

  Raises:
    ConfigError: if `critic_steps` is below 1, a critic moves more than once where players move at once,
      or it is noise-conditional without noise.
  """
  (name,) = {*nets} - {"generator"}
  latent = lambda key, n: prior(jax.random.split(key)[0], (n, latent_dim))
  play = _play(nets, name, latent, augment, instance_noise, noise_conditional)

  def critic(params, state, batch, key):
    use, played = play(params, state, batch, key)
    value, metrics = critic_loss(played)
    return value, Aux(use.stats, metrics={"real": jnp.mean(played.real), "fake": jnp.mean(played.fake)} | metrics)

  def generator(params, state, batch, key):
    use, played = play(params, state, batch, key)
    return generator_loss(played), Aux(use.stats)

  tx = _optimizers(tx, name, extra_gradient)
  players = {
    name: Player((name,), critic, tx[name], lambda owned: {name: project(owned[name])}),
    "generator": Player(("generator",), generator, tx["generator"]),
  }
  moves = _moves(name, critic_steps, simultaneous, extra_gradient)
  return Game(nets, players, moves, **_abilities(nets, name, latent, noise_conditional))


@extends(pair)
def make(
  *,
  generator: Net,
  discriminator: Net,
  loss: AdversarialLoss,
  penalty: Penalty | None = None,
  penalty_weight: Scheduled = 1.0,
  discriminator_steps: int = 1,
  **shared: Any,
) -> Game:
  """Goodfellow et al.'s game, or that of any other pair of losses; `pair` has the other arguments.

  Args:
    generator: latents [B, latent_dim] to data [B, ...].
    discriminator: data [B, ...] to raw scores [B].
    loss: what each of them minimises.
    penalty: on the discriminator, one of `losses.penalties`; logged, without its weight, as "penalty".
    penalty_weight: what it is multiplied with; a number, or a schedule of the round.
    discriminator_steps: discriminator moves a round, each with a batch and latents of its own.
  """

  def discriminator_loss(play: Play):
    value = loss.discriminator(play.real, play.fake)
    if penalty is None:
      return value, {}
    cost = penalty(play.critic, *play.seen, play.key)
    return value + at(penalty_weight, play.step) * cost, {"penalty": cost}

  def generator_loss(play):
    return loss.generator(play.fake, play.real)

  nets = {"generator": generator, "discriminator": discriminator}
  return pair(nets, discriminator_loss, generator_loss, discriminator_steps, **shared)


def _play(
  nets: Mapping[str, Net],
  critic: str,
  latent: Callable[[jax.Array, int], jax.Array],
  augment: Augment | None,
  instance_noise: Scheduled | None,
  noise_conditional: bool,
) -> Callable[..., tuple[Forward, Play]]:
  """`(params, state, batch, key) -> (use, Play)`: what both losses begin with."""
  if noise_conditional and instance_noise is None:
    raise ConfigError(f"noise_conditional gives the {critic} the level of an instance_noise that is not there")

  def play(params, state, batch, key):
    z_key, net_key, augment_key, noise_key, _, penalty_key = jax.random.split(key, 6)  # runs keep their numbers
    use = forward(nets, params, state, net_key)
    x = batch["x"]
    fake = use("generator", latent(z_key, len(x)))
    chex.assert_equal_shape([fake, x])
    x, fake = noisy(augmented((x, fake), augment, augment_key), instance_noise, state.step, noise_key)
    conditional = noise_conditional and instance_noise is not None
    known = _level(at(instance_noise, state.step), x) if conditional else ()  # pyright: ignore[reportArgumentType]
    real_scores, fake_scores = use(critic, x, *known), use(critic, fake, *known)
    return use, Play(real_scores, fake_scores, (x, fake), use.function(critic, *known), penalty_key, state.step)

  return play


def _abilities(nets: Mapping[str, Net], critic: str, latent: Callable, noise_conditional: bool) -> dict[str, Any]:
  """Samples, and what the critic makes of data, without augmentation and noise."""
  seen = lambda params, stats, x: (x, *(_level(0.0, x) if noise_conditional else ()))
  return {"sample": sampler(nets, latent), **judgements(nets, critic, seen)}


def _level(deviation: Number, x: jax.Array) -> tuple[jax.Array]:
  """A level of noise as an input of a net beside x [B, ...]: [B]."""
  return (jnp.full(len(x), deviation, x.dtype),)


def augmented(data: tuple[jax.Array, ...], augment: Augment | None, key: jax.Array) -> tuple[jax.Array, ...]:
  """Each array [B, ...] augmented, with draws of its own; as it is where `augment` is None. Zhao et al. 2020."""
  if augment is None:
    return data
  return tuple(augment(k, x) for k, x in zip(jax.random.split(key, len(data)), data))


def noisy(
  data: tuple[jax.Array, ...], deviation: Scheduled | None, step: jax.Array, key: jax.Array
) -> tuple[jax.Array, ...]:
  """Adds N(0, deviation^2) to every entry of each array [B, ...]; None adds nothing. Sønderby et al. 2017."""
  if deviation is None:
    return data
  keys = jax.random.split(key, len(data))
  return tuple(x + at(deviation, step) * jax.random.normal(k, x.shape, x.dtype) for x, k in zip(data, keys))


def _moves(critic: str, steps: int, simultaneous: bool, extra_gradient: bool) -> tuple[Move, ...]:
  """One round."""
  at_least_one(f"{critic}_steps", steps)
  if (simultaneous or extra_gradient) and steps != 1:
    raise ConfigError(f"players that move at once move once: {critic}_steps is {steps}, not 1")
  if extra_gradient:
    return (Move((critic, "generator"), repeat=2),)
  if simultaneous:
    return (Move((critic, "generator")),)
  return (Move((critic,), steps), Move(("generator",), draws=False))


def _optimizers(tx: Optimizers, critic: str, extra_gradient: bool) -> dict[str, optax.GradientTransformation]:
  """Each player's optimizer."""
  both = {player: optimizer_of(tx, player) for player in (critic, "generator")}
  return {player: optim.extra_gradient(each) for player, each in both.items()} if extra_gradient else both
