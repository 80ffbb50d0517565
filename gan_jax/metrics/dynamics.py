"""Where a small game goes: its vector field, the field's Jacobian and eigenvalues, and the path of gradient steps.

A game here is the losses of its players, pure functions of `point`, a mapping from player to that player's parameters.
The field holds, for each player, minus the gradient of its own loss in its own parameters. Near an equilibrium small
enough gradient steps converge if all eigenvalues of the field's Jacobian have a negative real part, and move away if
one has a positive one; imaginary ones settle nothing. Mescheder et al. 2018, Which Training Methods for GANs do
actually Converge?

The losses of a `gan_jax.game.Game` are such functions once its state, a batch and a key are held fixed:

  def losses_of(game, state, batch, key):
    def loss_of(player):
      return lambda point: player.loss({**state.params, **ChainMap(*point.values())}, state, batch, key)[0]

    return {name: loss_of(player) for name, player in game.players.items()}

  point = {name: {net: state.params[net] for net in player.owns} for name, player in game.players.items()}
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

Point = Mapping[str, Any]  # player -> pytree of its parameters
Field = Callable[[Point], Point]


def vector_field(losses: Mapping[str, Callable[[Point], jax.Array]]) -> Field:
  """The field `point -> {player: -d loss_player / d point[player]}`. Mescheder et al. 2018.

  Args:
    losses: player -> `point -> scalar`, minimised by that player.

  Returns:
    The field. It raises ValueError for a point that does not name the same players as `losses`.
  """

  def field(point: Point) -> Point:
    if set(point) != set(losses):
      raise ValueError(f"the point names the players {sorted(point)}, the losses are those of {sorted(losses)}")

    def descent(name):
      gradient = jax.grad(lambda own: losses[name]({**point, name: own}))(point[name])
      return jax.tree.map(jnp.negative, gradient)

    return {name: descent(name) for name in point}

  return field


def jacobian(field: Field, point: Point) -> jax.Array:
  """The derivative of a field at a point, [P, P] for P parameters in all, in the order of `ravel_pytree(point)`.

  Block (a, b) says how the step of player a changes with the parameters of player b; players are in alphabetical order.
  """
  flat, unravel = ravel_pytree(point)
  return jax.jacfwd(lambda x: ravel_pytree(field(unravel(x)))[0])(flat)


def eigenvalues(field: Field, point: Point) -> np.ndarray:
  """The eigenvalues of `jacobian(field, point)`, complex128 [P], by ascending real and then imaginary part.

  Their accuracy is that of the Jacobian; where two coincide only the square root of it.

  Examples:
    >>> import jax.numpy as jnp
    >>> field = vector_field({"psi": lambda p: -p["psi"] * p["theta"], "theta": lambda p: p["psi"] * p["theta"]})
    >>> values = eigenvalues(field, {"psi": jnp.zeros(()), "theta": jnp.zeros(())})
    >>> sorted(values.imag.tolist()), float(abs(values.real).max())  # neither damped nor driven: circles
    ([-1.0, 1.0], 0.0)
  """
  return np.sort_complex(np.linalg.eigvals(np.asarray(jacobian(field, point), np.float64)))


def simulate(field: Field, point: Point, step_size: float | jax.Array, steps: int, turns: Sequence[str] = ()) -> Point:
  """The path of plain gradient steps, `point + step_size * field(point)`. Mescheder et al. 2018.

  Args:
    field: what moves the players.
    point: the start.
    step_size: the learning rate, that of all players.
    steps: how many steps, or rounds if players take turns.
    turns: the players in the order in which they move within a round, each seeing the moves before its own; one may
      move several times. Empty: all move at once from the same old point.

  Returns:
    The points after 1, 2, ..., `steps` steps: like `point`, each leaf with a leading axis of `steps`.

  Raises:
    ValueError: `turns` names someone who is not a player.
  """
  strangers = sorted(set(turns) - set(point))
  if strangers:
    raise ValueError(f"turns names {strangers}; the players are {sorted(point)}")

  def move(point, movers):
    step = field(point)
    return {**point, **{k: jax.tree.map(lambda p, v: p + step_size * v, point[k], step[k]) for k in movers}}

  def play(point, _):
    for movers in [(name,) for name in turns] or [tuple(point)]:
      point = move(point, movers)
    return point, point

  return jax.lax.scan(play, point, length=steps)[1]
