"""Nets called by name inside a loss, so that a loss reads as its equation."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from gan_jax.game import Net, TrainState


class Forward:
  """`use(name, *inputs) -> output`: the nets of a game in training, as one loss uses them; made by `forward`.

  Every call has a key of its own, and starts from the statistics that the state has, so that no call sees what another
  one left.

  Attributes:
    stats: of each net that was used, the mean of the statistics that its calls left.
  """

  def __init__(self, nets: Mapping[str, Net], params: Mapping[str, Any], state: TrainState, key: jax.Array):
    self._nets, self._params, self._old, self._key = nets, params, state.stats, key
    self._calls, self._moved = 0, {}

  def __call__(self, name: str, *inputs: jax.Array | int) -> jax.Array:
    """The output of the net `name` in training.

    Within a gradient or `vmap` of the loss's own, use `function`: statistics recorded there could not leave it.

    Raises:
      KeyError: if the game has no net of that name.
    """
    output, stats = self._apply(name, self._next_key(), *inputs)
    self._moved.setdefault(name, []).append(stats)
    return output

  def function(self, name: str, *others: jax.Array | int) -> Callable[[jax.Array], jax.Array]:
    """The net `name` in training as a pure function of its first input, to take gradients of: penalties.

    It has one key for all its calls. Statistics that it would move are forgotten.
    """
    key = self._next_key()
    return lambda x: self._apply(name, key, x, *others)[0]

  @property
  def stats(self) -> dict[str, Any]:
    """Of each net that was used, by name, the mean of the statistics that its calls left."""
    return {name: mean_statistics(*uses) for name, uses in self._moved.items()}

  def _apply(self, name: str, key: jax.Array, *inputs: jax.Array | int) -> tuple[jax.Array, Any]:
    if name not in self._nets:
      raise KeyError(f"the game has no net {name!r}; it has {', '.join(sorted(self._nets))}")
    return self._nets[name].apply(self._params[name], self._old[name], *inputs, key=key)

  def _next_key(self) -> jax.Array:
    self._calls += 1
    return jax.random.fold_in(self._key, self._calls)


def forward(nets: Mapping[str, Net], params: Mapping[str, Any], state: TrainState, key: jax.Array) -> Forward:
  """Returns `use`, which calls nets by name: `use("discriminator", use("generator", z))`, and then has `use.stats`.

  Args:
    nets: of the game.
    params: net -> parameters, as the loss was given them.
    state: the train state; its statistics are those that every call starts from.
    key: the calls' keys are folded from it.
  """
  return Forward(nets, params, state, key)


def mean_statistics(first: Any, *others: Any) -> Any:
  """The mean of statistics that several calls of a net left: each counts alike.

  Args:
    first: a pytree of arrays.
    others: pytrees of the same structure. Of entries that are no floating-point numbers, the first stays.
  """

  def leaf(a, *b):
    return sum(b, a) / (1 + len(b)) if jnp.issubdtype(a.dtype, jnp.floating) else a

  return jax.tree.map(leaf, first, *others)
