"""f-GAN: the generator descends a variational bound of any f-divergence. Nowozin et al. 2016."""

import jax

from gan_jax.game import Game, Net, Optimizers
from gan_jax.games import two_player
from gan_jax.games.two_player import Prior
from gan_jax.losses.divergences import FDivergence, fgan


def make(
  *,
  generator: Net,
  discriminator: Net,
  divergence: FDivergence,
  tx: Optimizers,
  data_first: bool = True,
  generator_step: str = "minimax",
  parametrisation: str = "activation",
  discriminator_steps: int = 1,
  simultaneous: bool = False,
  latent_dim: int = 64,
  prior: Prior = jax.random.normal,
) -> Game:
  """The f-GAN game: eq. 6, or with `simultaneous` the single-step algorithm 1.

  The discriminator logs "bound", a lower bound of the divergence in nats, as far as a batch can tell.

  Args:
    generator: latents [B, latent_dim] to data [B, ...].
    discriminator: the variational function V, data [B, ...] to raw scores [B].
    divergence: which f.
    tx: one optimiser for both players, or a mapping with one for "discriminator" and one for "generator".
    data_first: D_f(P_data||P_G); otherwise D_f(P_G||P_data).
    generator_step: "minimax" or "alternative", as in `losses.divergences.fgan`.
    parametrisation: "activation" (table 6) or "log_ratio", as in `losses.divergences.fgan`.
    latent_dim: size of the latent z.
    prior: `(key, shape) -> z`.
    discriminator_steps: discriminator moves a round, each with a batch and latents of its own.
    simultaneous: both players move at once from the same state.

  Raises:
    ValueError: if `generator_step` or `parametrisation` is none of these.
  """
  return two_player.make(
    generator=generator,
    scorer=discriminator,
    loss=fgan(divergence, data_first, generator_step, parametrisation),
    tx=tx,
    latent_dim=latent_dim,
    prior=prior,
    estimate="bound",
    scorer_steps=discriminator_steps,
    simultaneous=simultaneous,
  )
