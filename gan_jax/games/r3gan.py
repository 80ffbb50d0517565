"""R3GAN: relativistic pairing with gradient penalties on real and generated data. Huang et al. 2024."""

from typing import Any

from gan_jax.game import Game, Net, Scheduled
from gan_jax.games._extends import extends
from gan_jax.games.gan import Play, pair, specs
from gan_jax.losses.adversarial import relativistic
from gan_jax.losses.penalties import r1_and_r2
from gan_jax.optim import at

__all__ = ["make", "specs"]


@extends(pair)
def make(
  *, generator: Net, discriminator: Net, gamma: Scheduled = 1.0, discriminator_steps: int = 1, **shared: Any
) -> Game:
  """The relativistic game with R1 and R2; the discriminator logs "penalty", R1 + R2 without gamma.

  Args:
    generator: latents [B, latent_dim] to data [B, ...].
    discriminator: data [B, ...] to raw scores [B], without batch norm.
    gamma: the discriminator minimises its loss plus gamma / 2 (E|grad D(x)|^2 + E|grad D(G(z))|^2). A number, or a
      schedule of the round: `lambda step: gamma * noise(step) ** 2` ties it to the variance of the noise.
    discriminator_steps: discriminator moves a round, each with a batch and latents of its own.
    **shared: the other arguments of `gan.pair`. With `augment` R1 and R2 are of D at augmented images; the authors
      differentiate through the augmentation.
  """
  loss = relativistic()

  def discriminator_loss(play: Play):
    penalty = r1_and_r2(play.critic, *play.seen, play.key)
    return loss.discriminator(play.real, play.fake) + at(gamma, play.step) * penalty, {"penalty": penalty}

  def generator_loss(play: Play):
    return loss.generator(play.fake, play.real)

  nets = {"generator": generator, "discriminator": discriminator}
  return pair(nets, discriminator_loss, generator_loss, discriminator_steps, **shared)
