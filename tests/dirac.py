"""The DiracGAN of Mescheder et al. 2018, section 2.2, as losses for `gan_jax.metrics.dynamics`.

The data is a point at 0, the generator a point at theta, the discriminator's score psi * x. A point of the game is
{"discriminator": psi, "generator": theta}; its equilibrium is the origin.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from gan_jax.losses import penalties


def losses(pair, penalty=lambda critic, real, fake: 0.0, noise=(0.0,)):
  """player -> loss: `pair` is an AdversarialLoss, `noise` is added to the data's point and to the generator's."""
  noise = jnp.asarray(noise)

  def play(point):
    return lambda x: point["discriminator"] * x, noise, point["generator"] + noise

  def discriminator(point):
    critic, real, fake = play(point)
    return pair.discriminator(critic(real), critic(fake)) + penalty(critic, real, fake)

  def generator(point):
    critic, real, fake = play(point)
    return pair.generator(critic(fake), critic(real))

  return {"discriminator": discriminator, "generator": generator}


def r1(weight):
  return lambda critic, real, fake: weight * penalties.r1(critic, real, fake, None)


def r1_r2(weight):
  return lambda critic, real, fake: (
    weight * (penalties.r1(critic, real, fake, None) + penalties.r2(critic, real, fake, None))
  )


def wgan_gp(weight, target=1.0):
  """weight / 2 * (|slope| - target)^2, halved as by Mescheder et al. 2018; Gulrajani et al. 2017 do not halve."""
  key = jax.random.key(0)
  return lambda *players: weight / 2 * penalties.gradient_penalty(*players, key, target=target)


def gaussian(deviation, count=32):
  """Equally weighted points whose mean is 0 and whose standard deviation is exactly `deviation`: instance noise."""
  points = norm.ppf((np.arange(count) + 0.5) / count)
  return deviation * points / points.std()


def consensus(field, weight):
  """Descends weight * |field|^2 / 2 as well. Mescheder et al. 2017, The Numerics of GANs, section 4."""

  def steered(point):
    value, pull_back = jax.vjp(field, point)
    return jax.tree.map(lambda v, g: v - weight * g, value, pull_back(value)[0])

  return steered


def point(psi, theta):
  return {"discriminator": jnp.asarray(psi), "generator": jnp.asarray(theta)}


def radius(path):
  return jnp.hypot(path["discriminator"], path["generator"])
