"""R3GAN: relativistic pairing with gradient penalties on real and on generated data. Huang et al. 2024, section 2."""

import jax

from gan_jax.game import Game, Net, Optimizers
from gan_jax.games import two_player
from gan_jax.games.two_player import Prior, Scheduled
from gan_jax.losses import adversarial, penalties


def make(
  *,
  generator: Net,
  discriminator: Net,
  tx: Optimizers,
  gamma: Scheduled = 1.0,
  instance_noise: Scheduled | None = None,
  noise_aware: bool = False,
  discriminator_steps: int = 1,
  latent_dim: int = 64,
  prior: Prior = jax.random.normal,
) -> Game:
  """The game of eq. 2 with R1 and R2; the discriminator logs "penalty", R1 + R2 without gamma.

  Args:
    generator: latents [B, latent_dim] to data [B, ...].
    discriminator: data [B, ...] to raw scores [B], without batch norm.
    tx: one optimiser for both players, or a mapping with one for "discriminator" and one for "generator".
    gamma: the discriminator minimises its loss plus gamma / 2 (E|grad D(x)|^2 + E|grad D(G(z))|^2). A number, or a
      schedule of the round: `lambda step: gamma * noise(step) ** 2` ties it to the variance of the noise.
    instance_noise: standard deviation of noise on all that the discriminator is shown, as in `two_player.make`.
    discriminator_steps: discriminator moves a round, each with a batch and latents of its own.
    latent_dim: size of the latent z.
    prior: `(key, shape) -> z`.
  """
  return two_player.make(
    generator=generator,
    scorer=discriminator,
    loss=adversarial.relativistic(),
    tx=tx,
    penalty=penalties.r1_and_r2,
    penalty_weight=gamma,
    instance_noise=instance_noise,
    noise_aware=noise_aware,
    scorer_steps=discriminator_steps,
    latent_dim=latent_dim,
    prior=prior,
  )
