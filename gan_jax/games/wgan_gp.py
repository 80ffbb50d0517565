"""Wasserstein GAN with a gradient penalty. Gulrajani et al. 2017, algorithm 1."""

import functools

import jax

from gan_jax.game import Game, Net, Optimizers
from gan_jax.games import two_player
from gan_jax.games.two_player import Prior, Scheduled
from gan_jax.losses import adversarial, penalties


def make(
  *,
  generator: Net,
  critic: Net,
  tx: Optimizers,
  penalty_weight: Scheduled = 10.0,
  where: str = "interpolates",
  one_sided: bool = False,
  critic_steps: int = 5,
  latent_dim: int = 64,
  prior: Prior = jax.random.normal,
) -> Game:
  """The game of algorithm 1, whose optimiser is Adam(1e-4, b1=0, b2=0.9) for both players.

  The critic logs "penalty", without the weight, and "w1", minus its loss without the penalty: an estimate of W1 in
  units of the data. The penalty is soft, so the best critic is steeper than 1 and the estimate too large, by W1^2 / (2
  penalty_weight) for a linear critic and by more for a free one. In one dimension a critic upside down, with w1 near
  -W1, is an optimum of its own that training finds from half of all starts: there, choose `one_sided`.

  Args:
    generator: latents [B, latent_dim] to data [B, ...].
    critic: data [B, ...] to raw scores [B], without batch norm.
    tx: one optimiser for both players, or a mapping with one for "critic" and one for "generator".
    penalty_weight: lambda; a number, or a schedule of the round.
    where: the penalty's points, as in `losses.penalties.gradient_penalty`.
    one_sided: penalises slopes above 1 alone (Petzka et al. 2018).
    critic_steps: critic moves a round, each with a batch and latents of its own.
    latent_dim: size of the latent z.
    prior: `(key, shape) -> z`.
  """
  return two_player.make(
    generator=generator,
    scorer=critic,
    role="critic",
    loss=adversarial.wasserstein(),
    tx=tx,
    penalty=functools.partial(penalties.gradient_penalty, where=where, one_sided=one_sided),
    penalty_weight=penalty_weight,
    estimate="w1",
    scorer_steps=critic_steps,
    latent_dim=latent_dim,
    prior=prior,
  )
