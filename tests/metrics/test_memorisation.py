"""Memorisation: generators that copy, in whole and in part, and others that only look as if they did."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from gan_jax.metrics.memorisation import memorisation

D = 8


def points(seed, n):
  return np.random.default_rng(seed).normal(size=(n, D))


@pytest.fixture(scope="module")
def splits():
  """Four times as many images to train on as held out."""
  return points(0, 1200), points(1, 300)


def test_what_a_picture_needs(splits):
  samples = points(2, 100)
  found = memorisation(samples, *splits)
  for split, distance in zip(splits, (found.train_distance, found.held_out_distance)):
    expected, index = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(split).kneighbors(samples)
    np.testing.assert_allclose(distance, expected[:, 0], rtol=1e-9)
    if split is splits[0]:
      np.testing.assert_array_equal(found.train_index, index[:, 0])


def test_new_data_is_not_memorised_though_there_is_more_to_train_on(splits):
  """The plain ratio is well below 1."""
  found = memorisation(points(2, 400), *splits)
  assert found.train_distance.mean() / found.held_out_distance.mean() < 0.9
  assert found.ratio == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_ratio_falls_with_the_share_of_copies(share, splits):
  samples = points(3, 400)
  copies = int(400 * share)
  samples[:copies] = splits[0][-copies or 400 :][:copies]
  assert memorisation(samples, *splits).ratio == pytest.approx(1.0 - share, abs=0.05)


def test_near_copies(splits):
  samples = splits[0][:300] + 0.01 * points(4, 300)
  found = memorisation(samples, *splits)
  assert found.ratio < 0.03
  np.testing.assert_array_equal(found.train_index, np.arange(300))


def test_poor_blurred_and_collapsed_samples_are_no_copies(splits):
  for samples in (4.0 * points(5, 300), 0.3 * points(6, 300), 0.2 * points(7, 300) + points(8, 1)):
    assert 0.8 < memorisation(samples, *splits).ratio < 1.25


def test_held_out_copies_and_refusals(splits):
  train, held_out = splits
  assert memorisation(held_out[:50], train, held_out).ratio == np.inf
  for wrong in (train[:20], np.ones((5, D))):
    with pytest.raises(ValueError, match="held-out images say nothing"):
      memorisation(train[:9], train, wrong)
  with pytest.raises(ValueError, match="k is 1; there are 0"):
    memorisation(train[:9], train, held_out[:1])
