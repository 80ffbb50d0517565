"""Wasserstein GAN: a critic held Lipschitz by clipping its weights. Arjovsky et al. 2017, algorithm 1."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from gan_jax.game import Game, Net, Optimizers
from gan_jax.games import two_player
from gan_jax.games.two_player import Number, Prior
from gan_jax.losses import adversarial


def make(
  *,
  generator: Net,
  critic: Net,
  tx: Optimizers,
  clip: Number = 0.01,
  critic_steps: int = 5,
  latent_dim: int = 64,
  prior: Prior = jax.random.normal,
) -> Game:
  """The game of algorithm 1, whose optimiser is RMSProp at 5e-5 for both players.

  The critic logs "w1", minus its loss: an estimate of K W1 in units of the data, where the clipping makes the critic
  K-Lipschitz for a K that is not known.

  Args:
    generator: latents [B, latent_dim] to data [B, ...].
    critic: data [B, ...] to raw scores [B].
    tx: one optimiser for both players, or a mapping with one for "critic" and one for "generator".
    clip: largest absolute value of a weight of the critic. Layers with a parameter "scale", batch norm and its kin, are
      not clipped.
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
    project=lambda params: clipped(params, clip),
    estimate="w1",
    scorer_steps=critic_steps,
    latent_dim=latent_dim,
    prior=prior,
  )


def clipped(params: Any, clip: Number) -> Any:
  """Parameters within [-clip, clip], but for those of layers that have a "scale"."""
  scales = lambda node: isinstance(node, Mapping) and "scale" in node
  return jax.tree.map(lambda p: p if scales(p) else jnp.clip(p, -clip, clip), params, is_leaf=scales)
