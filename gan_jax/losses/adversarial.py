"""Adversarial losses on raw scores: what the discriminator and the generator each minimise.

A score is what the discriminator's last layer gives, before any output activation; for the losses of Goodfellow et al.
it is the logit of "real". Those with logarithms are written with `softplus`, so that scores of +-500 give finite values
and gradients.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax.nn import softplus


class AdversarialLoss(NamedTuple):
  """A pair of pure functions on scores, each minimised by its owner.

  Attributes:
    discriminator: `(real [B, ...], fake [B, ...]) -> scalar`, of one score an example or one a patch.
    generator: `(fake [B, ...], real [B, ...]) -> scalar`; `real` counts for relativistic losses alone.
  """

  discriminator: Callable[[jax.Array, jax.Array], jax.Array]
  generator: Callable[[jax.Array, jax.Array], jax.Array]


def minimax(smoothing: float | jax.Array = 0.0) -> AdversarialLoss:
  """The zero-sum game, E[log D(x)] + E[log(1 - D(G(z)))] with D = sigmoid(score), in nats.

  Its generator saturates: where the discriminator is sure, the gradient vanishes. Goodfellow et al. 2014.

  Args:
    smoothing: one-sided label smoothing: the target of real data is 1 - smoothing, that of generated data stays 0.
      Salimans et al. 2016.
  """

  def discriminator(real, fake):
    _check_scores(real, fake)
    # Cross-entropy with the target t = 1 - smoothing: t softplus(-real) + (1 - t) softplus(real).
    return jnp.mean(softplus(-real) + smoothing * real) + jnp.mean(softplus(fake))

  def generator(fake, real):
    _check_scores(fake, real)
    return -jnp.mean(softplus(fake))

  return AdversarialLoss(discriminator, generator)


def non_saturating(smoothing: float | jax.Array = 0.0) -> AdversarialLoss:
  """The minimax discriminator with a generator that minimises -E[log D(G(z))]. Goodfellow et al. 2014.

  Examples:
    >>> import jax.numpy as jnp
    >>> loss = non_saturating()
    >>> float(loss.discriminator(jnp.zeros(4), jnp.zeros(4)))  # log 4: it cannot tell
    1.3862943...
    >>> float(loss.generator(jnp.zeros(4), jnp.zeros(4)))  # log 2
    0.6931471...
  """

  def generator(fake, real):
    _check_scores(fake, real)
    return jnp.mean(softplus(-fake))

  return AdversarialLoss(minimax(smoothing).discriminator, generator)


def least_squares(a: float = 0.0, b: float = 1.0, c: float = 1.0, scale: float = 0.5) -> AdversarialLoss:
  """The squared distance of scores from targets. Mao et al. 2017 propose a, b, c = 0, 1, 1 and -1, 1, 0.

  Args:
    a: the discriminator's target for generated data.
    b: its target for real data.
    c: the score that the generator wants for its data. With b - c = 1 and b - a = 2 the game minimises a Pearson
      divergence.
    scale: what each mean square is multiplied with; CycleGAN's losses have 1 (Zhu et al. 2017).
  """

  def discriminator(real, fake):
    _check_scores(real, fake)
    return scale * jnp.mean(jnp.square(real - b)) + scale * jnp.mean(jnp.square(fake - a))

  def generator(fake, real):
    _check_scores(fake, real)
    return scale * jnp.mean(jnp.square(fake - c))

  return AdversarialLoss(discriminator, generator)


def hinge() -> AdversarialLoss:
  """E[max(0, 1 - real)] + E[max(0, 1 + fake)] against -E[fake]. Lim and Ye 2017; Miyato et al. 2018."""

  def discriminator(real, fake):
    _check_scores(real, fake)
    return jnp.mean(jax.nn.relu(1.0 - real)) + jnp.mean(jax.nn.relu(1.0 + fake))

  return AdversarialLoss(discriminator, wasserstein().generator)


def wasserstein() -> AdversarialLoss:
  """E[fake] - E[real] against -E[fake]: minus the critic's loss estimates W1 if the critic is 1-Lipschitz.

  Arjovsky et al. 2017. What holds the critic Lipschitz is the game's business, not the loss's.
  """

  def discriminator(real, fake):
    _check_scores(real, fake)
    return jnp.mean(fake) - jnp.mean(real)

  def generator(fake, real):
    _check_scores(fake, real)
    return -jnp.mean(fake)

  return AdversarialLoss(discriminator, generator)


def relativistic() -> AdversarialLoss:
  """Relativistic pairing: each real score is held against one fake score, E[softplus(-(real - fake))] and the reverse.

  Jolicoeur-Martineau 2018 (RSGAN); the loss of R3GAN, Huang et al. 2024.
  """

  def discriminator(real, fake):
    _check_scores(real, fake)
    return jnp.mean(softplus(fake - real))

  def generator(fake, real):
    _check_scores(fake, real)
    return jnp.mean(softplus(real - fake))

  return AdversarialLoss(discriminator, generator)


def _check_scores(first: jax.Array, second: jax.Array) -> None:
  chex.assert_equal_shape([first, second])
