"""The pool against a plain model of it in Python, bit for bit; and how often, and how old, what it hands out is."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan_jax import pool

KEY = jax.random.key(4)
TOTAL = 10_000
IMAGES = np.asarray(jax.random.normal(jax.random.key(1), (TOTAL, 2, 2, 1)))


def batches_of(n):
  """The 10,000 images in batches of n (the rest that fills none is left out), and a key for each batch."""
  count = TOTAL // n
  return IMAGES[: count * n].reshape(count, n, 2, 2, 1), jax.random.split(KEY, count)


def play(start, keys, batches):
  """All batches through the pool, in a scan."""
  return lax.scan(lambda state, inputs: pool.exchange(state, *inputs), start, (keys, batches))


def model(size, keys, batches):
  """What `pool.exchange` says of itself, with a list: the images stored and those handed out."""

  def decisions(key):
    first, second = jax.random.split(key)
    n = batches.shape[1]
    return jax.random.bernoulli(first, 0.5, (n,)), jax.random.randint(second, (n,), 0, size)

  swaps, places = jax.device_get(jax.vmap(decisions)(keys))
  stored, shown = [], []
  for image, swap, place in zip(batches.reshape(-1, *batches.shape[2:]), swaps.ravel(), places.ravel(), strict=True):
    if len(stored) < size:
      stored.append(image)
      shown.append(image)
    elif swap:
      shown.append(stored[place])
      stored[place] = image
    else:
      shown.append(image)
  return np.stack(stored), np.stack(shown).reshape(batches.shape)


@pytest.mark.parametrize("n", [1, 3, 128])
@pytest.mark.parametrize("size", [1, 50])
def test_it_is_the_model_bit_for_bit(size, n):
  batches, keys = batches_of(n)
  end, shown = jax.jit(play)(pool.init((2, 2, 1), size), keys, batches)
  expected_stored, expected_shown = model(size, keys, batches)
  np.testing.assert_array_equal(shown, expected_shown)
  np.testing.assert_array_equal(end.images, expected_stored)
  assert end.count == size and end.count.dtype == jnp.int32


def test_it_fills_first():
  """Three and then five images into a pool of six: the first six come back as they are, the last two are decided."""
  state = pool.init((2, 2, 1), 6)
  assert state.images.shape == (6, 2, 2, 1) and state.count == 0
  state, shown = pool.exchange(state, KEY, IMAGES[:3])
  np.testing.assert_array_equal(shown, IMAGES[:3])
  np.testing.assert_array_equal(state.images, np.concatenate([IMAGES[:3], np.zeros((3, 2, 2, 1))]))
  assert state.count == 3
  swapped = set()
  for key in jax.random.split(KEY, 20):
    end, shown = pool.exchange(state, key, IMAGES[3:8])
    np.testing.assert_array_equal(shown[:3], IMAGES[3:6])
    assert end.count == 6
    swapped.add(tuple((shown[3:] != IMAGES[6:8]).any((1, 2, 3)).tolist()))
  assert len(swapped) == 4  # neither, either, both


@pytest.mark.parametrize("n", [1, 50])
def test_half_are_old_and_of_geometric_age(n):
  """With probability 1/2 a place among 50: a stored image stays for 1 / (1/2 x 1/50) = 100 images in the mean."""
  batches, keys = batches_of(n)
  _, shown = jax.jit(play)(pool.init((2, 2, 1)), keys, batches)
  number = {image.tobytes(): i for i, image in enumerate(IMAGES)}
  ages = np.array([i - number[image.tobytes()] for i, image in enumerate(np.asarray(shown).reshape(-1, 2, 2, 1))])
  assert not ages[:50].any()
  old = ages[ages > 0]
  decided = TOTAL - 50
  assert abs(len(old) - decided / 2) < 4 * np.sqrt(decided) / 2
  np.testing.assert_allclose([old.mean(), old.std()], [100, 100], atol=4 * 200 / np.sqrt(len(old)))
  assert len(np.unique(old)) > 100 and old.min() == 1  # also what came just before, in the same batch


def test_size_0_switches_it_off():
  state = pool.init((2, 2, 1), 0)
  assert all(leaf.size for leaf in jax.tree.leaves(state))  # a checkpoint refuses an array without elements
  batches, keys = batches_of(50)
  end, shown = jax.jit(play)(state, keys, batches)
  np.testing.assert_array_equal(shown, batches)
  chex.assert_trees_all_equal(end, state)


def test_each_member_of_a_sweep_has_its_own():
  batches, _ = batches_of(3)
  batches = batches[:300].reshape(3, 100, 3, 2, 2, 1)
  keys = jax.random.split(KEY, (3, 100))
  starts = jax.vmap(lambda _: pool.init((2, 2, 1), 5))(jnp.arange(3))
  together = jax.jit(jax.vmap(play))(starts, keys, batches)
  alone = [jax.jit(play)(pool.init((2, 2, 1), 5), *inputs) for inputs in zip(keys, batches)]
  chex.assert_trees_all_equal(together, jax.tree.map(lambda *leaves: jnp.stack(leaves), *alone))


def test_one_call_is_the_same_with_and_without_jit():
  state = pool.Pool(jnp.asarray(IMAGES[:5]), jnp.int32(5))
  calls = [f(state, KEY, IMAGES[5:45]) for f in (pool.exchange, jax.jit(pool.exchange))]
  chex.assert_trees_all_equal(*calls)
  assert (calls[0][0].images != IMAGES[:5]).any()


def test_refusals():
  with pytest.raises(ValueError, match="holds -1 images; .*at least 0"):
    pool.init((2, 2, 1), -1)
  with pytest.raises(AssertionError):
    pool.exchange(pool.init((2, 2, 1)), KEY, jnp.zeros((4, 3, 2, 1)))
