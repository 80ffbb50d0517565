"""Wasserstein GAN: a critic held Lipschitz by clipping its weights. Arjovsky et al. 2017."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from gan_jax.game import DataSpec, Game, Net, NetSpec, Number
from gan_jax.games import gan
from gan_jax.games._extends import extends


def specs(data: DataSpec, **settings: Any) -> dict[str, NetSpec]:
  """As `gan.specs`, with a critic in place of the discriminator: its scores are no logits."""
  nets = gan.specs(data, **settings)
  return {"generator": nets["generator"], "critic": nets["discriminator"]}


@extends(gan.pair)
def make(*, generator: Net, critic: Net, clip: Number = 0.01, critic_steps: int = 5, **shared: Any) -> Game:
  """The paper's game, whose optimizer is RMSProp at 5e-5 for both players; `gan.pair` has the other arguments.

  The critic logs "w1", minus its loss: an estimate of K W1 in units of the data, where the clipping makes the critic
  K-Lipschitz for a K that is not known.

  Args:
    generator: latents [B, latent_dim] to data [B, ...].
    critic: data [B, ...] to raw scores [B].
    clip: largest absolute value of a weight of the critic. Layers with a parameter "scale", batch norm and other norms,
      are not clipped. The authors' code clips these too, which would leave a norm a gain of at most `clip`.
    critic_steps: critic moves a round, each with a batch and latents of its own.
  """

  def critic_loss(play: gan.Play):
    w1 = jnp.mean(play.real) - jnp.mean(play.fake)
    return -w1, {"w1": w1}

  nets = {"generator": generator, "critic": critic}
  return gan.pair(nets, critic_loss, generator_loss, critic_steps, lambda params: clipped(params, clip), **shared)


def generator_loss(play: gan.Play) -> jax.Array:
  """-E[D(G(z))]: algorithm 1, line 10."""
  return -jnp.mean(play.fake)


def clipped(params: Any, clip: Number) -> Any:
  """Parameters within [-clip, clip], but for those of layers that have a "scale"."""
  scales = lambda node: isinstance(node, Mapping) and "scale" in node
  return jax.tree.map(lambda p: p if scales(p) else jnp.clip(p, -clip, clip), params, is_leaf=scales)
