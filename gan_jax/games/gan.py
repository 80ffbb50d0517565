"""Two players, one score: any adversarial pair of losses as a game. Goodfellow et al. 2014, algorithm 1."""

import jax

from gan_jax.game import Game, Net, Optimizers
from gan_jax.games import two_player
from gan_jax.games.two_player import Penalty, Prior, Scheduled
from gan_jax.losses.adversarial import AdversarialLoss


def make(
  *,
  generator: Net,
  discriminator: Net,
  loss: AdversarialLoss,
  tx: Optimizers,
  penalty: Penalty | None = None,
  penalty_weight: Scheduled = 1.0,
  instance_noise: Scheduled | None = None,
  discriminator_steps: int = 1,
  simultaneous: bool = False,
  extra_gradient: bool = False,
  latent_dim: int = 64,
  prior: Prior = jax.random.normal,
) -> Game:
  """The game of a generator against a discriminator.

  Args:
    generator: latents [B, latent_dim] to data [B, ...].
    discriminator: data [B, ...] to raw scores [B].
    loss: what each of them minimises.
    tx: one optimiser for both players, or a mapping with one for "discriminator" and one for "generator".
    penalty: on the discriminator, `(critic, real, fake, key) -> scalar`, made of `losses.penalties`.
    penalty_weight: what it is multiplied with; a number, or a schedule of the round.
    instance_noise: standard deviation of noise on all that the discriminator is shown, as in `two_player.make`.
    discriminator_steps: discriminator moves a round, each with a batch and latents of its own.
    simultaneous: both players move at once from the same state, in place of one after the other.
    extra_gradient: both look ahead, then step from where they started, as in `two_player.make`.
    latent_dim: size of the latent z.
    prior: `(key, shape) -> z`.

  Raises:
    ValueError: as `two_player.make`.
  """
  return two_player.make(
    generator=generator,
    scorer=discriminator,
    loss=loss,
    tx=tx,
    penalty=penalty,
    penalty_weight=penalty_weight,
    instance_noise=instance_noise,
    scorer_steps=discriminator_steps,
    simultaneous=simultaneous,
    extra_gradient=extra_gradient,
    latent_dim=latent_dim,
    prior=prior,
  )
