"""Measures of features as gan_jax computes them, beside those of others."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import linalg

from gan_jax.metrics import frechet, inception_score, kernel, precision_recall

CLASSES = 1_008  # of the Inception network that the score was defined with


def measures(n: int, width: int) -> dict[str, dict[str, Callable[[], float]]]:
  """Each measure's contenders, "ours" first: all are of the same features, and give a number to compare."""
  import torch  # an extra, as the next ones
  from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc

  random = np.random.default_rng(0)
  scales = 1.0 / np.sqrt(1.0 + np.arange(width))  # as the spectra of real features fall
  real, fake = ((random.normal(size=(n, width)) * scales).astype(np.float32) for _ in range(2))
  fake += np.float32(0.05)
  logits = (4.0 * random.normal(size=(n, CLASSES))).astype(np.float32)
  a, b = frechet.moments(real), frechet.moments(fake)
  theirs = {"real": torch.from_numpy(real), "fake": torch.from_numpy(fake)}
  statistics_of = {name: metric_fid.fid_features_to_statistics(x) for name, x in theirs.items()}
  fid = lambda: metric_fid.fid_statistics_to_metric(statistics_of["real"], statistics_of["fake"], False)
  pair = theirs["fake"], theirs["real"]
  of_kernel = lambda: metric_kid.kid_features_to_metric(*pair, verbose=False)
  of_balls = lambda: metric_prc.prc_features_to_metric(*pair, verbose=False)
  return {
    "Fréchet distance, of moments": {
      "ours": lambda: frechet.distance(a, b),
      "SciPy's sqrtm": lambda: _by_sqrtm(a, b),
      "torch-fidelity": lambda: fid()[metric_fid.KEY_METRIC_FID],
    },
    "Kernel distance (KID)": {
      "ours": lambda: kernel.kid(real, fake).value,
      "torch-fidelity": lambda: of_kernel()[metric_kid.KEY_METRIC_KID_MEAN],
    },
    "Precision and recall, of 3 neighbours": {
      "ours": lambda: precision_recall.precision_recall(real, fake, 3).precision,
      "torch-fidelity": lambda: of_balls()[metric_prc.KEY_METRIC_PRECISION],
    },
    "Inception score": {
      "ours": lambda: inception_score.inception_score(logits, seed=2020).mean,
      "torch-fidelity": lambda: metric_isc.isc_features_to_metric(torch.from_numpy(logits))[
        metric_isc.KEY_METRIC_ISC_MEAN
      ],
    },
  }


def _by_sqrtm(a: frechet.Moments, b: frechet.Moments) -> float:
  """The Fréchet distance as most programs have it, by the root of a matrix that is not symmetric."""
  s, t = (m.scatter / (m.count - 1) for m in (a, b))
  root: Any = linalg.sqrtm(s @ t)
  return float(np.sum((a.mean - b.mean) ** 2) + np.trace(s) + np.trace(t) - 2.0 * np.trace(root.real))
