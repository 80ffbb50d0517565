"""Nets called by name: statistics of several uses, keys, and functions to take gradients of."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import train
from gan_jax.forward import forward, mean_statistics
from gan_jax.game import Aux, Game, Move, Net, Player

import toy

KEY = jax.random.key(4)


def counting_net(keys=None):
  """w x; its statistics are the sum of the means of its inputs, and an integer that every use raises by one."""

  def apply(params, stats, x, key=None, train=True):
    if keys is not None:
      keys.append(tuple(np.asarray(jax.random.key_data(key))))
    return params["w"] * x, {"seen": stats["seen"] + x.mean(), "uses": stats["uses"] + 1} if train else stats

  return Net(lambda key: ({"w": jnp.array(2.0)}, {"seen": jnp.zeros(()), "uses": jnp.zeros((), jnp.int32)}), apply)


def game_of(loss, **nets):
  """One player, who owns the net "own"."""
  return Game(nets, {"me": Player(("own",), loss, optax.sgd(0.1))}, (Move(("me",)),), averaged=(), frozen=("other",))


def test_a_net_used_twice_averages_its_statistics_and_another_ones_stay():
  nets = {"own": counting_net(), "other": counting_net()}

  def loss(params, state, batch, key):
    use = forward(nets, params, state, key)
    y = use("own", batch["x"]) + use("own", 3.0 * batch["x"])
    return jnp.mean(use("other", y)), Aux(use.stats)

  game = game_of(loss, **nets)
  state = train.init(game, KEY, {"x": toy.SPEC((2,), jnp.float32)})
  after, _ = train.play(game, ("me",), state, {"x": jnp.array([1.0, 3.0])}, KEY)
  np.testing.assert_allclose(after.stats["own"]["seen"], (2.0 + 6.0) / 2)
  assert int(after.stats["own"]["uses"]) == 1
  # d/dw of w_other (w x + 3 w x) is 2 * 4 * 2: it went through the other net, which stayed as it was.
  np.testing.assert_allclose(after.params["own"]["w"], 2.0 - 0.1 * 16.0, rtol=1e-6)
  assert float(after.params["other"]["w"]) == 2.0 and float(after.stats["other"]["seen"]) == 0.0


def used(keys=None):
  nets = {"own": counting_net(keys)}
  state = train.init(game_of(lambda *_: (jnp.zeros(()), Aux()), other=counting_net(), **nets), KEY)
  return forward(nets, state.params, state, KEY)


def test_every_call_has_a_key_of_its_own():
  keys = []
  use = used(keys)
  for _ in range(3):
    use("own", jnp.ones(2))
  use.function("own")(jnp.ones(2))
  assert len(set(keys)) == 4 and tuple(np.asarray(jax.random.key_data(KEY))) not in keys


def test_a_function_of_a_net_forgets_statistics_and_can_be_differentiated():
  use = used()
  function = use.function("own")
  with jax.checking_leaks():
    slope = jax.grad(lambda x: jnp.sum(jnp.square(jax.grad(lambda y: jnp.sum(jnp.square(function(y))))(x))))(
      jnp.ones(2)
    )
  np.testing.assert_allclose(slope, [2.0 * 8.0**2] * 2)
  assert use.stats == {}
  use("own", jnp.ones(2))
  assert int(use.stats["own"]["uses"]) == 1


def test_a_net_that_is_not_there_is_named_beside_those_that_are():
  with pytest.raises(KeyError, match="the game has no net 'onw'; it has own"):
    used()("onw", jnp.ones(2))


def uses(n):
  """What n uses left: floats that differ, a counter and a flag."""
  return [
    {
      "bn": {"mean": jnp.array([i, 2.0 * i]), "var": jnp.array(i**2, jnp.bfloat16)},
      "count": jnp.array(10 + i),
      "on": jnp.array(i == 0),
    }
    for i in range(n)
  ]


@pytest.mark.parametrize(("n", "mean", "var"), [(1, 0.0, 0.0), (2, 0.5, 0.5), (3, 1.0, 5 / 3)])
def test_floats_are_averaged_and_the_rest_stays_that_of_the_first(n, mean, var):
  found = mean_statistics(*uses(n))
  np.testing.assert_allclose(found["bn"]["mean"], [mean, 2 * mean], rtol=1e-6)
  np.testing.assert_allclose(np.float32(found["bn"]["var"]), var, rtol=1e-2)
  assert int(found["count"]) == 10 and bool(found["on"])
  assert [found["bn"]["mean"].dtype, found["bn"]["var"].dtype] == [jnp.float32, jnp.bfloat16]
  assert jnp.issubdtype(found["count"].dtype, jnp.integer) and found["on"].dtype == bool


def test_nothing_has_no_mean():
  assert mean_statistics({}, {}) == {}


def test_other_structures_are_refused():
  with pytest.raises(ValueError):
    mean_statistics({"a": jnp.zeros(2)}, {"b": jnp.zeros(2)})
