"""A mixture of generators as one net: each sample is made by one of them, picked at random."""

import jax
import jax.numpy as jnp

from gan_jax.game import Net


def places(key: jax.Array, n: int, members: int) -> jax.Array:
  """Where each of n samples stands in the batch of a mixture: int32 [n], all different, in random order.

  The batch has `share(n, members)` places for one member, then as many for the next. Where n does not divide, places at
  random stay empty. So every sample is made by each member with the same probability, and the members' samples are
  equally many, or as nearly as chance leaves the empty places.
  """
  return jax.random.permutation(key, members * share(n, members))[:n]


def share(n: int, members: int) -> int:
  """How many of n samples one member makes, rounded up: the one at a place is `place // share(n, members)`."""
  return -(-n // members)


def mixture(net: Net, members: int) -> Net:
  """`members` nets of one kind as one, which spreads its batch over them at the cost of one net.

  Args:
    net: of one input, and with any start: each member starts from a key of its own.
    members: how many.

  Returns:
    A net whose parameters and statistics have a leading axis [members, ...]. Its input [B, ...] may be followed by
    `places`, [B]; otherwise they are drawn from the key, after training too. A member's batch, of which it takes
    statistics, is its own share; where that has empty places, these are filled with inputs of the others and what comes
    of them is dropped. Without a key `apply` is a ValueError.
  """

  def init(key):
    return jax.vmap(net.init)(jax.random.split(key, members))

  def apply(params, stats, x, place=None, key=None, train=True):
    if key is None:
      raise ValueError("a mixture of nets draws which member makes which sample: give apply a key")
    n, size = len(x), members * share(len(x), members)
    place_key, net_key = jax.random.split(key)
    place = places(place_key, n, members) if place is None else place
    spread = x[jnp.arange(size) % n].at[place].set(x)
    one = lambda params, stats, x, key: net.apply(params, stats, x, key=key, train=train)
    y, stats = jax.vmap(one)(
      params, stats, spread.reshape(members, -1, *x.shape[1:]), jax.random.split(net_key, members)
    )
    return y.reshape(size, *y.shape[2:])[place], stats

  return Net(init, apply)
