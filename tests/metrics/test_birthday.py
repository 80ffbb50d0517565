"""The birthday paradox: 365 days, pairs by hand, and distributions whose support is known."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from gan_jax.metrics.birthday import support, threshold


def images(seed, n):
  return np.random.default_rng(seed).normal(size=(n, 5))


def test_pairs_by_hand():
  """On the line 0, 1, 1, 1.5, 7: within 0.51 lie the equal pair and two more."""
  x = np.array([[0.0], [1.0], [1.0], [1.5], [7.0]])
  for within, pairs in [(0.0, 1), (0.49, 1), (0.51, 3), (1.01, 5), (1.51, 6), (100.0, 10)]:
    found = support(x, within)
    assert (found.pairs, found.size) == (pairs, 10 / pairs)


def test_birthdays():
  """Of 730 people two on each day: 365 pairs. In a class of 23 two share a birthday as likely as not."""
  year = np.repeat(images(0, 365), 2, axis=0)
  found = support(year, 0.0)
  assert found.pairs == 365 and found.size == 730 * 729 / 2 / 365
  assert found.batch == pytest.approx(0.5 + np.sqrt(0.25 + 2 * np.log(2) * found.size), rel=1e-14)
  assert 0.5 + np.sqrt(0.25 + 2 * np.log(2) * 365) == pytest.approx(23.0, abs=0.01)


@pytest.mark.parametrize("size, n", [(100, 60), (2_000, 400)])
def test_a_known_support_is_found(size, n):
  """The median of the estimates is right, and the intervals hold it nearly always; a little noise changes nothing."""
  rng = np.random.default_rng(size)
  kinds, found = images(1, size), []
  for _ in range(40):
    batch = kinds[rng.integers(0, size, n)] + 1e-3 * rng.uniform(-1, 1, (n, 5))
    found.append(support(batch, 0.01))
  # In the mean the pairs are n (n - 1) / 2 size.
  mean = np.mean([each.pairs for each in found])
  assert n * (n - 1) / 2 / mean == pytest.approx(size, rel=4 / np.sqrt(40 * n * (n - 1) / 2 / size))
  assert np.mean([each.low < size < each.high for each in found]) >= 0.85


def test_half_of_all_batches_of_the_stated_size_hold_a_pair():
  rng = np.random.default_rng(0)
  draws = [len(np.unique(rng.integers(0, 365, 23))) < 23 for _ in range(4_000)]
  assert np.mean(draws) == pytest.approx(0.5, abs=0.04)


def test_unequal_frequencies_count_by_their_squares():
  """Half of all samples are one image: of the others' number little is seen, and the estimate is just below 4."""
  rng = np.random.default_rng(2)
  batch = images(3, 1_000)[np.where(rng.random(600) < 0.5, 0, rng.integers(1, 1_000, 600))]
  assert support(batch, 0.0).size == pytest.approx(1 / (0.25 + 0.25 / 999), rel=0.15)


def test_no_pair_gives_a_lower_bound():
  """Without a pair among 4,950 it is at least 4,950 / 3.689, as exp(-3.689) = 0.025."""
  found = support(images(4, 100), 1e-9)
  assert (found.pairs, found.size, found.high, found.batch) == (0, np.inf, np.inf, np.inf)
  assert found.low == pytest.approx(4_950 / -np.log(0.025), rel=1e-12)


@pytest.mark.parametrize("pairs", [1, 7])
def test_the_threshold_is_that_of_the_data(pairs):
  data = images(5, 80)
  found = threshold(data, pairs)
  assert found == pytest.approx(np.sort(pdist(data))[pairs - 1], rel=1e-12)
  assert support(data, found).pairs == pairs


def test_a_collapsed_generator_beside_the_data():
  """With the data's own threshold new data has about as many pairs, and a generator of 50 images far more."""
  within = threshold(images(6, 400), 10)
  assert support(images(7, 400), within).pairs < 30
  few = support(images(8, 50)[np.random.default_rng(0).integers(0, 50, 400)], within)
  assert few.size == pytest.approx(50, rel=0.2)


def test_refusals():
  with pytest.raises(ValueError, match="single sample"):
    support(images(0, 1), 1.0)
  with pytest.raises(ValueError, match="k is 5; there are 4"):
    threshold(images(0, 5), 5)
