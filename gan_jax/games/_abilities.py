"""What trained nets can be asked for, as several papers share it."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from gan_jax.errors import ConfigError
from gan_jax.game import Net


def evaluated(nets: Mapping[str, Net]) -> Callable[..., jax.Array]:
  """`(name, params, stats, *inputs, key=None) -> output` of one of the nets as it is after training.

  It is random where it is given a key and the net draws even then: pix2pix's dropout, one of several generators.
  """

  def use(name, params, stats, *inputs, key=None):
    return nets[name].apply(params[name], stats[name], *inputs, key=key, train=False)[0]

  return use


def sampler(nets: Mapping[str, Net], latent: Callable[[jax.Array, int], jax.Array]) -> Callable[..., jax.Array]:
  """`Game.sample` of a game whose net "generator" maps latents to data; `latent(key, n)` draws n of them.

  The generator gets a key of its own, for one that draws after training too: `games._members`.
  """

  def sample(params, stats, key, n, latents=None):
    z, own_key = latent(key, n) if latents is None else latents, jax.random.fold_in(key, 1)
    return evaluated(nets)("generator", params, stats, z, key=own_key)

  return sample


def translations(ways: Mapping[tuple[str, str], Callable[..., jax.Array]]) -> dict[str, Any]:
  """`Game.translate` and `directions`, out of `(params, stats, key, x) -> images` for each (source, target)."""

  def translate(params, stats, key, x, source, target):
    if (source, target) not in ways:
      known = ", ".join(f"{here} to {there}" for here, there in ways)
      raise ConfigError(f"there is no translation from {source!r} to {target!r}; the game translates {known}")
    return ways[source, target](params, stats, key, x)

  return {"translate": translate, "directions": tuple(ways)}


def judgements(
  nets: Mapping[str, Net], critic: str, seen: Callable[..., tuple[jax.Array, ...]], trunk: str = ""
) -> dict[str, Any]:
  """`Game.score`, `features` and `filters`: what a critic makes of data; None is what its nets do not give.

  Args:
    nets: those of the game.
    critic: the name of the one that gives scores.
    seen: `(params, stats, x) -> inputs` of the critic for data x [N, ...].
    trunk: the name of the one that sees the data, where that is not the critic itself.
  """
  use, first = evaluated(nets), trunk or critic
  given, found = nets[critic].features, nets[first].filters
  judge = lambda params, stats, x: given(params[critic], stats[critic], *seen(params, stats, x))  # pyright: ignore[reportOptionalCall]
  look = lambda params, stats: found(params[first], stats[first])  # pyright: ignore[reportOptionalCall]
  return {
    "score": lambda params, stats, x: use(critic, params, stats, *seen(params, stats, x)),
    "features": None if given is None else judge,
    "filters": None if found is None else look,
  }
