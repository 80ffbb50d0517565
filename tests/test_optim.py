"""Extra-gradient steps by hand; schedules, value by value, and that none goes on beyond its end."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import optim, train
from gan_jax.game import Aux, Game, Move, Net, Player


def test_extra_gradient_steps_start_where_they_began_though_projected():
  """A number w from 0.9 that loss -w^2 / 2 draws away from 0, rate 0.5, held within [-1, 1].

  Without projection: to 0.9 + 0.45 = 1.35, whose gradient takes 0.9 to 0.9 + 0.675 = 1.575. With it: to 1.35, which is
  projected to 1, whose gradient takes 0.9 to 1.4, projected to 1. With the rate changed to 0.05 after the first update:
  from 0.9 to 1, then by 0.05 to 0.95, where a step back from the projection would end at 0.6.
  """

  def path(project, rates):
    net = Net(lambda key: ({"w": jnp.array(0.9)}, {}), lambda p, s, key=None, train=True: (p["w"], s))
    loss = lambda params, state, batch, key: (-0.5 * params["only"]["w"] ** 2, Aux())
    tx = optim.extra_gradient(optax.sgd(lambda count: jnp.array(rates)[count % 2]))
    player = Player(("only",), loss, tx, project)
    game = Game({"only": net}, {"one": player}, (Move(("one",)),), averaged=())
    state = train.init(game, jax.random.key(0))
    run = jax.jit(train.make_scan(game, 1, lambda key: {"x": jnp.zeros(1)}))
    found = []
    for _ in range(2):
      state, _ = run(state)
      found.append(float(state.params["only"]["w"]))
    return found

  clip = lambda params: jax.tree.map(lambda w: jnp.clip(w, -1.0, 1.0), params)
  np.testing.assert_allclose(path(lambda params: params, (0.5, 0.5)), [1.35, 1.575], rtol=1e-6)
  np.testing.assert_allclose(path(clip, (0.5, 0.5)), [1.0, 1.0], rtol=1e-6)
  np.testing.assert_allclose(path(clip, (0.5, 0.05)), [1.0, 0.95], rtol=1e-6)


def test_extra_gradient_needs_the_parameters():
  tx = optim.extra_gradient(optax.sgd(0.1))
  with pytest.raises(ValueError, match="params"):
    tx.update(jnp.array(1.0), tx.init(jnp.array(1.0)))


def test_constant_then_linear_by_hand():
  """1 up to round 50, 0 from round 100 on, and a straight line between."""
  schedule = optim.constant_then_linear(100)
  found = [float(schedule(step)) for step in (0, 49, 50, 60, 75, 99, 100, 101, 10_000)]
  np.testing.assert_allclose(found, [1.0, 1.0, 1.0, 0.8, 0.5, 0.02, 0.0, 0.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("hold", [0.0, 0.3, 0.5, 0.9])
def test_constant_then_linear_never_rises_and_is_never_negative(hold):
  """Under jit and vmap, for 250 rounds where 119 were foreseen."""
  with jax.numpy_dtype_promotion("standard"):  # as `train.play` has it: optax hands over integer counters
    rates = np.asarray(jax.jit(jax.vmap(optim.constant_then_linear(119, hold)))(jnp.arange(250)))
  assert rates.min() == 0.0 and rates.max() == rates[0] == 1.0 and np.all(np.diff(rates) <= 0.0)
  assert np.all(rates[: int(119 * hold) + 1] == 1.0) and np.all(rates[119:] == 0.0) and rates[118] > 0.0


def test_a_run_resumed_beyond_the_end_stands_still():
  tx = optax.adam(lambda count: 0.1 * optim.constant_then_linear(4)(count), b1=0.5)
  params = jnp.array(1.0)
  state, path = tx.init(params), []
  for _ in range(8):
    with jax.numpy_dtype_promotion("standard"):
      updates, state = tx.update(jnp.array(1.0), state)
    params = optax.apply_updates(params, updates)
    path.append(float(params))
  np.testing.assert_allclose(path, [0.9, 0.8, 0.7, 0.65, 0.65, 0.65, 0.65, 0.65], rtol=1e-4)


def test_the_other_schedules_by_hand():
  decay = optim.constant_then_exponential(100, hold=0.5, end=0.01)
  np.testing.assert_allclose([float(decay(s)) for s in (0, 50, 75, 100, 500)], [1.0, 1.0, 0.1, 0.01, 0.01], rtol=1e-5)
  geometric = optim.geometric(2.0, 0.02, 10)
  np.testing.assert_allclose([float(geometric(s)) for s in (0, 5, 10, 50)], [2.0, 0.2, 0.02, 0.02], rtol=1e-5)


def test_shares_and_ends_may_be_traced():
  """As an axis of a sweep they give what they give as numbers."""
  schedules = {
    "constant_then_exponential": lambda a, b: optim.constant_then_exponential(100, a, b),
    "constant_then_linear": lambda a, b: optim.constant_then_linear(100, a),
    "geometric": lambda a, b: optim.geometric(a, b, 100),
  }
  a, b, steps = jnp.array([0.2, 0.7]), jnp.array([0.01, 0.5]), jnp.array([0.0, 30.0, 90.0, 150.0])
  for name, make in schedules.items():
    traced = jax.vmap(lambda a, b, make=make: make(a, b)(steps))(a, b)
    for i in range(2):
      np.testing.assert_allclose(traced[i], make(float(a[i]), float(b[i]))(steps), rtol=1e-5, err_msg=name)


@pytest.fixture
def mixed_types():
  with jax.numpy_dtype_promotion("standard"):  # optax mixes its integer counters with floats
    yield


@pytest.mark.usefixtures("mixed_types")
def test_what_has_no_gradient_rests():
  """Of two entries each is Adam by itself: one with a gradient every round, the other every second round."""
  tx, alone = optim.resting(optax.adam(0.1)), optax.adam(0.1)
  params = {"w": jnp.array([[1.0, 2.0], [3.0, 4.0]])}
  slopes = np.random.default_rng(0).normal(size=(6, 2, 2)).astype(np.float32)
  slopes[1::2, 1] = 0.0
  slopes[2, 0, 0] = 0.0  # one number of an entry that moves
  state, ends = tx.init(params), []
  for slope in slopes:
    updates, state = tx.update({"w": jnp.asarray(slope)}, state, params)
    params = optax.apply_updates(params, updates)
  for entry, own in enumerate((slopes[:, 0], slopes[::2, 1])):
    one = {"w": jnp.array([[1.0, 2.0], [3.0, 4.0]])[entry]}
    of_one = alone.init(one)
    for slope in own:
      updates, of_one = alone.update({"w": jnp.asarray(slope)}, of_one, one)
      one = optax.apply_updates(one, updates)
    ends.append(one["w"])
    kept = jax.tree.map(lambda leaf, entry=entry: leaf[entry], state)
    for found, truth in zip(jax.tree.leaves(kept), jax.tree.leaves(of_one), strict=True):
      np.testing.assert_allclose(found, truth, rtol=1e-6)
  np.testing.assert_allclose(params["w"], np.stack(ends), rtol=1e-6)


@pytest.mark.usefixtures("mixed_types")
def test_an_entry_moves_with_all_its_arrays():
  """One array without a gradient beside one with it moves on by Adam's memory, as it would alone."""
  tx, params = optim.resting(optax.adam(0.1)), {"a": jnp.ones((2, 1)), "b": jnp.ones((2, 1))}
  state = tx.init(params)
  _, state = tx.update({"a": jnp.ones((2, 1)), "b": jnp.ones((2, 1))}, state, params)
  updates, _ = tx.update({"a": jnp.zeros((2, 1)), "b": jnp.array([[1.0], [0.0]])}, state, params)
  assert float(updates["a"][0, 0]) != 0.0 and float(updates["a"][1, 0]) == float(updates["b"][1, 0]) == 0.0


@pytest.mark.parametrize("schedule", [optim.constant_then_linear, optim.constant_then_exponential])
def test_a_rate_that_is_held_to_the_end_stays_1(schedule):
  rate = schedule(100, hold=1.0)
  assert [float(rate(step)) for step in (0, 50, 99)] == [1.0, 1.0, 1.0]
