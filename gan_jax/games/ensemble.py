"""Several generators against one discriminator, each sample from one of them at random: a mixture for the generator.

A generator that collapses then loses the modes of one component and not of the data. Ghosh et al. 2018 and Hoang et al.
2018 start from the same mixture, and add a term that keeps its components apart: `games.mgan`.
"""

from typing import Any

from gan_jax.errors import at_least_one
from gan_jax.game import Game, Net
from gan_jax.games import gan
from gan_jax.games._extends import extends
from gan_jax.games._members import mixture
from gan_jax.games.gan import specs

__all__ = ["make", "specs"]


@extends(gan.make)
def make(*, generator: Net, members: int, **shared: Any) -> Game:
  """The game of `gan.make` with `members` generators, which have a batch between them and so the cost of one.

  Args:
    generator: latents [B, latent_dim] to data [B, ...]; each member is such a net, from a start of its own.
    members: how many generators there are; with one it is `gan`. Where a batch does not divide by them, see
      `_members.places`.
    **shared: the other arguments of `gan.make`.

  Raises:
    ConfigError: if `members` is below 1.
  """
  at_least_one("members", members)
  return gan.make(generator=mixture(generator, members), **shared)
