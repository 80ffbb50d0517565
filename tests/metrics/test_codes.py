"""Codes: assignments by hand, and mutual information against Gaussians and channels whose own is known."""

import math

import numpy as np
import pytest

from gan_jax.metrics import codes

RNG = np.random.default_rng(7)
N = 2_000


def uniform(*shape):
  return RNG.uniform(-1, 1, shape)


def test_accuracy_by_hand():
  """Value 0 is mostly label 1 (3 of 4), 1 is label 0 (2 of 2), 2 is label 2 (1 of 2): six of eight."""
  found, assignment = codes.accuracy([0, 0, 0, 0, 1, 1, 2, 2], [1, 1, 1, 0, 0, 0, 2, 1])
  assert found == 6 / 8 and assignment == {0: 1, 1: 0, 2: 2}


def test_accuracy_is_of_the_best_assignment_and_not_the_greedy_one():
  """Together: [[5, 4], [4, 0]]. Greedy takes 5 + 0; the best is 4 + 4 of 13."""
  found, assignment = codes.accuracy([0] * 9 + [1] * 4, [0] * 5 + [1] * 4 + [0] * 4)
  assert found == 8 / 13 and assignment == {0: 1, 1: 0}


def test_accuracy_sees_through_a_permutation():
  labels = RNG.integers(0, 10, N)
  order = RNG.permutation(10)
  found, assignment = codes.accuracy(order[labels], labels)
  assert found == 1.0 and assignment == {int(order[k]): k for k in range(10)}
  wrong = RNG.uniform(size=N) < 0.2
  noisy = np.where(wrong, (labels + 1) % 10, labels)
  assert codes.accuracy(order[noisy], labels)[0] == pytest.approx(1 - wrong.mean())


def test_accuracy_of_another_number_of_values():
  """Of a label that is split over two values the larger part counts, and of two that one value merges the larger."""
  assert codes.accuracy([0, 0, 0, 1, 2, 2], [5, 5, 5, 5, 7, 7]) == (5 / 6, {0: 5, 2: 7})
  assert codes.accuracy([3, 3, 3, 3, 9, 9], [0, 0, 0, 1, 2, 2]) == (5 / 6, {3: 0, 9: 2})
  assert codes.accuracy([4, 4, 4], [0, 1, 1]) == (2 / 3, {4: 1})


def test_accuracy_of_chance():
  found, assignment = codes.accuracy(RNG.integers(0, 10, 20_000), RNG.integers(0, 10, 20_000))
  assert 0.1 < found < 0.12 and sorted(assignment) == sorted(assignment.values()) == list(range(10))


def test_accuracy_leaves_out_pairs_that_never_met():
  """Together: [[5, 1], [1, 0]], where 5 + 0 is the best; and [[2], [1]]."""
  assert codes.accuracy([0] * 6 + [1], [0] * 5 + [1, 0]) == (5 / 7, {0: 0})
  assert codes.accuracy([0, 0, 1], [0, 0, 0]) == (2 / 3, {0: 0})


def test_mutual_information_of_gaussians():
  """-log(1 - rho^2) / 2, between every code and every factor, whatever the units and the sign."""
  rho = np.array([0.0, 0.3, -0.8, 0.99])
  hidden = RNG.standard_normal(N)
  factors = rho * hidden[:, None] + np.sqrt(1 - rho**2) * RNG.standard_normal((N, 4))
  given = np.stack([hidden, 300 * hidden - 7, RNG.standard_normal(N)], 1)
  found = codes.mutual_information(given, factors * [1, 50, 1e-3, 1])
  expected = -0.5 * np.log(1 - rho**2)
  assert found.shape == (3, 4) and found.dtype == np.float64
  np.testing.assert_allclose(found[0], expected, atol=0.08)
  np.testing.assert_allclose(found[1], found[0], atol=1e-4)
  assert found[2].max() < 0.04


def test_mutual_information_is_near_zero_of_independent_ones():
  """Sixty pairs of independent columns: none comes near 0.1 nats, and none is negative."""
  factors = np.column_stack([RNG.integers(0, 3, N), uniform(N, 4)])
  shuffled = np.tanh(3 * uniform(N, 11))
  found = codes.mutual_information(np.column_stack([shuffled, RNG.integers(0, 4, N)]), factors, [11], [0])
  assert found.min() >= 0 and found.max() < 0.06 and found.mean() < 0.015


def test_mutual_information_need_not_be_monotone():
  """factor = |code| or code^2 plus little noise: no correlation, and much information."""
  code = uniform(N)
  factors = np.stack([np.abs(code), code**2 + 0.1 * RNG.standard_normal(N)], 1)
  assert np.abs(np.corrcoef(code, factors.T)[0, 1:]).max() < 0.1
  found = codes.mutual_information(code[:, None], factors)
  assert found[0, 0] > 4 and found[0, 1] > 0.7


def test_mutual_information_with_noise_of_finite_width():
  """factor = code + noise, uniform of half-widths 1 and w < 1: I = w / 2 - log w, a trapezium's entropy less log 2w."""
  for w in (0.2, 0.6):
    code = uniform(N)
    found = codes.mutual_information(code[:, None], (code + w * uniform(N))[:, None])
    np.testing.assert_allclose(found, [[w / 2 - math.log(w)]], atol=0.08)


def test_mutual_information_with_discrete_columns():
  """A code that tells a class by its interval: log 3. One of two that overlap by half: log 2 / 2. A copy: log 3."""
  kind = RNG.integers(0, 3, N)
  side = RNG.integers(0, 2, N)
  continuous = np.stack([kind + 0.5 * uniform(N), 0.5 * side + 0.5 * uniform(N)], 1)
  found = codes.mutual_information(np.column_stack([continuous, kind]), np.stack([kind, side], 1), [2], [0, 1])
  expected = [[math.log(3), 0], [0, 0.5 * math.log(2)], [math.log(3), 0]]
  np.testing.assert_allclose(found, expected, atol=0.06)
  # A discrete code with a continuous factor is the same pair seen from the other side.
  other = codes.mutual_information(np.stack([kind, side], 1), continuous, [0, 1])
  np.testing.assert_allclose(other, np.array(expected)[:2].T, atol=0.06)


def test_mutual_information_of_counts():
  """Shares 1/2, 1/4 and 1/4 of the pairs 00, 01 and 11, by hand; and a copy tells its entropy."""
  code, factor = np.repeat([[0, 0], [0, 1], [1, 1]], [20, 10, 10], axis=0).T
  expected = 0.5 * math.log(4 / 3) + 0.25 * math.log(2 / 3) + 0.25 * math.log(2)
  found = codes.mutual_information(np.stack([code, factor], 1), factor[:, None], [0, 1], [0])
  np.testing.assert_allclose(found, [[expected], [math.log(2)]], rtol=1e-9)


def test_float32_and_equal_values():
  """A code in float32 that is stuck at 1 for half of the samples still says which half: log 2 of a discrete factor."""
  half = RNG.integers(0, 2, N)
  code = np.where(half == 1, 1.0, uniform(N)).astype(np.float32)
  found = codes.mutual_information(code[:, None], half[:, None].astype(np.float32), (), [0])
  np.testing.assert_allclose(found, [[math.log(2)]], atol=0.06)


def test_what_does_not_vary_shares_nothing():
  code, factors = uniform(N, 2), uniform(N, 3)
  code[:, 1], factors[:, 1], factors[:, 2] = 0.3, 5.0, code[:, 0]
  found = codes.mutual_information(code, factors, (), [1])
  assert found[0, 1] == 0.0 and (found[1] == 0.0).all() and found[0, 2] > 4
  np.testing.assert_array_equal(codes.mutual_information(code, np.full((N, 20), 1e10)), 0.0)
  np.testing.assert_array_equal(codes.mutual_information(np.full((N, 1), 1e10), uniform(N, 20)), 0.0)
  # The columns that are left keep their own kind.
  kind = RNG.integers(0, 3, N)
  found = codes.mutual_information(kind[:, None] + 0.5 * uniform(N, 1), np.stack([np.ones(N), kind], 1), (), [1])
  np.testing.assert_allclose(found, [[0.0, math.log(3)]], atol=0.06)


def test_the_same_at_every_call():
  """Also where equal values have to be parted at random."""
  code, factors = np.maximum(uniform(300, 2), 0.0), np.maximum(uniform(300, 3), -0.5)
  copies = code.copy(), factors.copy()
  first = codes.mutual_information(code, factors)
  np.random.seed(5)
  np.testing.assert_array_equal(codes.mutual_information(code, factors), first)
  np.testing.assert_array_equal(code, copies[0])
  np.testing.assert_array_equal(factors, copies[1])


def test_discretise():
  """Equally full bins, in order; a discrete column is numbered afresh; equal values stay together."""
  factors = np.column_stack([np.arange(100) ** 3, np.arange(100) % 6 * 4 - 1, np.repeat([0.0, 1.0], [70, 30])])
  binned = codes.discretise(factors, [1], bins=4)
  assert binned.dtype == np.int64
  np.testing.assert_array_equal(binned[:, 0], np.repeat([0, 1, 2, 3], 25))
  np.testing.assert_array_equal(binned[:, 1], np.arange(100) % 6)
  np.testing.assert_array_equal(binned[:, 2], np.repeat([0, 1], [70, 30]))
  np.testing.assert_array_equal(codes.discretise(np.full((9, 1), 3.0)), 0)
  np.testing.assert_array_equal(np.bincount(codes.discretise(uniform(1000, 1))[:, 0]), [100] * 10)


def test_entropies():
  """Shares (1/2, 1/4, 1/4): 1.5 bits. One value: 0. Ten equal ones: log 10."""
  factors = np.stack([np.repeat([0, 1, 5], [20, 10, 10]), np.full(40, 3), np.arange(40) % 10], 1)
  np.testing.assert_allclose(codes.entropies(factors), [1.5 * math.log(2), 0.0, math.log(10)], atol=1e-12)


def test_gap_by_hand():
  """(0.9 - 0.1) / 1 and (0.6 - 0.5) / 2, whichever code it is; a factor that does not vary is left out of the mean."""
  information = [[0.1, 0.5, 0.0], [0.9, 0.6, 0.0], [0.0, 0.2, 0.0]]
  mean, each = codes.gap(information, [1.0, 2.0, 0.0])
  np.testing.assert_allclose(each, [0.8, 0.05, 0.0])
  assert mean == pytest.approx(0.425)
  again, _ = codes.gap(information[::-1], [1.0, 2.0, 0.0])
  assert again == mean
  assert codes.gap([[0.5, 1.0]], [1.0, 1.0])[0] == pytest.approx(0.75)
  assert codes.gap([[0.0], [0.0]], [0.0])[0] == 0.0


def test_the_whole_gap():
  """A code for each factor: 1. Each factor in two codes alike, or in none: 0."""
  factors = np.column_stack([RNG.integers(0, 3, N), uniform(N, 2)])
  binned = codes.discretise(factors, [0])

  def gap(found):
    known = codes.mutual_information(found, binned, (), range(3))
    return codes.gap(known, codes.entropies(binned))

  mean, each = gap(factors[:, [2, 0, 1]] * [1, -2, 3] + 0.001 * uniform(N, 3))
  np.testing.assert_allclose(each, 1.0, atol=0.04)
  assert mean == pytest.approx(each.mean())
  assert gap(np.concatenate([factors, factors], 1) + 0.001 * uniform(N, 6))[0] < 0.02
  assert gap(uniform(N, 3))[0] < 0.02


def test_refusals():
  with pytest.raises(ValueError, match="no examples"):
    codes.accuracy([], [])
  with pytest.raises(ValueError, match="codes holds 5 samples; an estimate needs more than 5"):
    codes.mutual_information(uniform(5, 1), uniform(5, 1))
  bad = uniform(50, 1)
  bad[3] = np.nan
  with pytest.raises(ValueError, match="factors holds values that are not finite"):
    codes.mutual_information(uniform(50, 1), bad)
  with pytest.raises(ValueError, match="discrete_codes names column 2; codes has columns 0 to 1"):
    codes.mutual_information(uniform(50, 2), uniform(50, 3), [2])
  with pytest.raises(ValueError, match="discrete_factors names column -1"):
    codes.discretise(uniform(50, 3), [-1])
  with pytest.raises(ValueError, match="bins is 1"):
    codes.discretise(uniform(50, 3), bins=1)
  for wrong in (lambda: codes.accuracy([0, 1], [0]), lambda: codes.mutual_information(uniform(50, 1), uniform(40, 1))):
    with pytest.raises(AssertionError):
      wrong()
  with pytest.raises(AssertionError):
    codes.gap(np.zeros((2, 3)), np.zeros(2))
