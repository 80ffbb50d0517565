"""KID against whole kernel matrices, its standard error against leaving out, and against the truth."""

import numpy as np
import pytest

from gan_jax.metrics import _pairs
from gan_jax.metrics.kernel import kid


def features(seed, n, d, shift=0.0):
  return np.maximum(np.random.default_rng(seed).normal(shift, 1.0, (n, d)), 0.0)


def mmd2(x, y):
  """By the definition, with whole matrices."""
  kernel = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3
  others = lambda k: (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))
  return others(kernel(x, x)) + others(kernel(y, y)) - 2 * kernel(x, y).mean()


def test_by_hand():
  """x = (1, 1, 2), y = (0, 1, 0) on the line: kernels (ab + 1)^3."""
  xx, yy, xy = (8 + 27 + 27) / 3, (1 + 1 + 1) / 3, (1 + 8 + 1 + 1 + 8 + 1 + 1 + 27 + 1) / 9
  found = kid(np.array([[1.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [0.0]]))
  assert found.value == pytest.approx(xx + yy - 2 * xy, rel=1e-14)


@pytest.mark.parametrize("dtype, block", [(np.float64, 1 << 22), (np.float32, 500)])
def test_against_whole_matrices(dtype, block, monkeypatch):
  monkeypatch.setattr(_pairs, "_BLOCK", block)
  x, y = features(0, 60, 20).astype(dtype), features(1, 45, 20, 0.2).astype(dtype)
  found, whole = kid(x, y), [z.astype(float) for z in (x, y)]
  assert found.value == pytest.approx(mmd2(*whole), rel=1e-9)
  assert kid(y, x) == pytest.approx(found, rel=1e-9)
  left = [[mmd2(np.delete(whole[0], i, 0), whole[1]) for i in range(len(x))]]
  left += [[mmd2(whole[0], np.delete(whole[1], i, 0)) for i in range(len(y))]]
  jackknife = sum((len(v) - 1) * np.var(v) for v in left)
  assert found.standard_error == pytest.approx(np.sqrt(jackknife), rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_no_bias_and_an_honest_standard_error(shift):
  """The mean over draws is that of many samples, the standard error their spread, or more where nothing differs."""
  found = np.array([kid(features(2 * i, 40, 3), features(2 * i + 1, 50, 3, shift)) for i in range(200)])
  truth = 0.0 if shift == 0.0 else kid(features(1000, 2000, 3), features(1001, 2000, 3, shift)).value
  spread = found[:, 0].std()
  assert found[:, 0].mean() == pytest.approx(truth, abs=4 * spread / np.sqrt(200) + 0.02 * truth)
  assert 0.85 * spread < np.sqrt(np.mean(found[:, 1] ** 2)) < 2.0 * spread
  assert shift > 0.0 or 0.3 < np.mean(found[:, 0] < 0.0) < 0.8


def test_refusals():
  x = features(0, 5, 4)
  with pytest.raises(ValueError, match="5 and 2 samples"):
    kid(x, x[:2])
  with pytest.raises(ValueError, match=r"one width, not \[\[5, 4\], \[5, 3\]\]"):
    kid(x, x[:, 1:])
  with pytest.raises(ValueError, match="not finite"):
    kid(x, np.where(x > 0, np.nan, x))
