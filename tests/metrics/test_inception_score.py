"""The inception score: extremes by hand, SciPy's entropies, and splits."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy

from gan_jax.metrics.inception_score import inception_score


def test_extremes():
  """Sharp and of all classes: K. Sharp and of one class, or knowing nothing: 1."""
  sharp = 1e3 * np.eye(5)[np.arange(100) % 5]
  assert inception_score(sharp, 1) == pytest.approx((5.0, 0.0, 0.0, np.log(5)), abs=1e-12)
  assert inception_score(sharp[::5], 2) == pytest.approx((1.0, 0.0, 0.0, 0.0), abs=1e-12)
  assert inception_score(0 * sharp, 4) == pytest.approx((1.0, 0.0, np.log(5), np.log(5)), abs=1e-12)


def test_by_hand():
  """p(y|x) = (3/4, 1/4) and (1/4, 3/4): the score is exp(log 2 - H(3/4))."""
  found = inception_score(np.log([[3.0, 1.0], [1.0, 3.0]]), 1)
  inside = -0.75 * np.log(0.75) - 0.25 * np.log(0.25)
  assert found == pytest.approx((np.exp(np.log(2) - inside), 0.0, inside, np.log(2)), rel=1e-14)


@pytest.mark.parametrize("n, splits", [(50, 1), (103, 10), (7, 7)])
def test_splits_against_scipy(n, splits):
  logits = np.random.default_rng(0).normal(0, 3, (n, 12))
  order = np.random.RandomState(3).permutation(n)
  ends = [n * i // splits for i in range(splits + 1)]
  scores = []
  for start, end in zip(ends, ends[1:]):
    p = softmax(logits[order[start:end]], axis=1)
    scores.append(np.exp(np.mean([entropy(each, p.mean(0)) for each in p])))
  p = softmax(logits, axis=1)
  expected = np.mean(scores), np.std(scores), np.mean(entropy(p, axis=1)), entropy(p.mean(0))
  assert inception_score(logits.astype(np.float32), splits, 3) == pytest.approx(expected, rel=1e-6)
  assert inception_score(logits, splits, 3) == pytest.approx(expected, rel=1e-12)


def test_samples_sorted_by_class_are_split_fairly():
  """Cut as they come, each split would hold one class, and score 1."""
  assert inception_score(1e3 * np.eye(10)[np.repeat(np.arange(10), 100)], 10).mean > 9.0


def test_refusals():
  for logits, splits in [(np.zeros((3, 2)), 4), (np.zeros((3, 2)), 0), (np.full((3, 2), np.nan), 1)]:
    with pytest.raises(ValueError, match=f"3 logits in {splits} splits"):
      inception_score(logits, splits)
  with pytest.raises(AssertionError):
    inception_score(np.zeros(3), 1)
