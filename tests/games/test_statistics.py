"""Statistics of a net that a move used more than once: the mean of what each use made of them."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.games import statistics


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
  found = statistics.mean(*uses(n))
  np.testing.assert_allclose(found["bn"]["mean"], [mean, 2 * mean], rtol=1e-6)
  np.testing.assert_allclose(np.float32(found["bn"]["var"]), var, rtol=1e-2)
  assert int(found["count"]) == 10 and bool(found["on"])
  assert [found["bn"]["mean"].dtype, found["bn"]["var"].dtype] == [jnp.float32, jnp.bfloat16]
  assert jnp.issubdtype(found["count"].dtype, jnp.integer) and found["on"].dtype == bool


def test_nothing_has_no_mean():
  assert statistics.mean({}, {}) == {}


def test_other_structures_are_refused():
  with pytest.raises(ValueError):
    statistics.mean({"a": jnp.zeros(2)}, {"b": jnp.zeros(2)})
