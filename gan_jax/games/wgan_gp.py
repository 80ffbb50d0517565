"""Wasserstein GAN with a gradient penalty. Gulrajani et al. 2017, algorithm 1."""

from typing import Any

import jax.numpy as jnp

from gan_jax.game import Game, Net, Scheduled
from gan_jax.games import gan
from gan_jax.games._extends import extends
from gan_jax.games.wgan import generator_loss, specs
from gan_jax.losses.penalties import gradient_penalty
from gan_jax.optim import at

__all__ = ["make", "specs"]


@extends(gan.pair)
def make(
  *,
  generator: Net,
  critic: Net,
  penalty_weight: Scheduled = 10.0,
  where: str = "interpolates",
  one_sided: bool = False,
  critic_steps: int = 5,
  **shared: Any,
) -> Game:
  """The game of algorithm 1, whose optimizer is Adam(1e-4, b1=0, b2=0.9) for both players.

  The critic logs "penalty", without the weight, and "w1", minus its loss without the penalty: an estimate of W1 in
  units of the data. The penalty is soft, so the best critic is steeper than 1 and the estimate too large, by W1^2 / (2
  penalty_weight) for a linear critic and by more for a free one. In one dimension a critic upside down, with w1 near
  -W1, is an optimum of its own that training finds from half of all starts: there, choose `one_sided`.

  Args:
    generator: latents [B, latent_dim] to data [B, ...].
    critic: data [B, ...] to raw scores [B], without batch norm.
    penalty_weight: lambda; a number, or a schedule of the round.
    where: the penalty's points, as in `losses.penalties.gradient_penalty`.
    one_sided: penalises slopes above 1 alone (Petzka et al. 2018).
    critic_steps: critic moves a round, each with a batch and latents of its own.
    **shared: the other arguments of `gan.pair`.
  """

  def critic_loss(play: gan.Play):
    w1 = jnp.mean(play.real) - jnp.mean(play.fake)
    penalty = gradient_penalty(play.critic, *play.seen, play.key, where=where, one_sided=one_sided)
    return -w1 + at(penalty_weight, play.step) * penalty, {"w1": w1, "penalty": penalty}

  return gan.pair({"generator": generator, "critic": critic}, critic_loss, generator_loss, critic_steps, **shared)
