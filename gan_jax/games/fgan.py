"""f-GAN: the generator descends a variational bound of any f-divergence. Nowozin et al. 2016."""

from typing import Any

from gan_jax.game import Game, Net
from gan_jax.games._extends import extends
from gan_jax.games.gan import Play, pair, specs
from gan_jax.losses import divergences
from gan_jax.losses.divergences import FDivergence

__all__ = ["make", "specs"]


@extends(pair)
def make(
  *,
  generator: Net,
  discriminator: Net,
  divergence: FDivergence,
  data_first: bool = True,
  generator_step: str = "minimax",
  parametrisation: str = "activation",
  discriminator_steps: int = 1,
  **shared: Any,
) -> Game:
  """The f-GAN game; `simultaneous` is the paper's single-step method, algorithm 1. `gan.pair` has the other arguments.

  The discriminator logs "bound", a lower bound of the divergence in nats, as far as a batch can tell.

  Args:
    generator: latents [B, latent_dim] to data [B, ...].
    discriminator: the variational function V, data [B, ...] to raw scores [B].
    divergence: which f.
    data_first: D_f(P_data||P_G); otherwise D_f(P_G||P_data), where V is high for generated data, and `score` is -V.
    generator_step: "minimax" or "alternative", as in `losses.divergences.fgan`.
    parametrisation: "activation" (the paper's) or "log_ratio", as in `losses.divergences.fgan`.
    discriminator_steps: discriminator moves a round, each with a batch and latents of its own.

  Raises:
    ConfigError: if `generator_step` or `parametrisation` is none of these.
  """
  loss = divergences.fgan(divergence, data_first, generator_step, parametrisation)

  def discriminator_loss(play: Play):
    bound = -loss.discriminator(play.real, play.fake)  # E_p[T(x)] - E_q[f*(T(x))]
    return -bound, {"bound": bound}

  def generator_loss(play: Play):
    return loss.generator(play.fake, play.real)

  nets = {"generator": generator, "discriminator": discriminator}
  game = pair(nets, discriminator_loss, generator_loss, discriminator_steps, **shared)
  v = game.score
  assert v is not None
  return game if data_first else game._replace(score=lambda params, stats, x: -v(params, stats, x))
