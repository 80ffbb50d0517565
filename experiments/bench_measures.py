"""Times the measures of features against those of others: `python -m experiments.bench_measures`.

N vectors of features on each side, as wide as Inception's; of the inception score, as many logits of 1,008 classes.
Contenders take turns, window by window, so only ratios within one run mean anything. torch-fidelity gets float32, which
its networks give, and its own defaults; its kernel distance draws 100 subsets of 1,000, where ours takes all pairs.
"""

import importlib.util
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import flags
from scipy import linalg

from experiments.lab import cli, workdir
from experiments.lab.build import at_least_one
from experiments.lab.timing import Contender, alternate
from gan_jax.errors import ConfigError
from gan_jax.metrics import frechet, inception_score, kernel, precision_recall

N = flags.DEFINE_integer("n", 5_000, "vectors of features on each side")
WIDTH = flags.DEFINE_integer("width", 2_048, "features in a vector")
WINDOWS = flags.DEFINE_integer("windows", 3, "timed windows of each contender")

CLASSES = 1_008  # of the Inception network that the score was defined with


def main() -> None:
  for name, flag in (("--n", N), ("--width", WIDTH), ("--windows", WINDOWS)):
    at_least_one(name, flag.value)
  if any(importlib.util.find_spec(package) is None for package in ("torch", "torch_fidelity")):
    raise ConfigError("the others are PyTorch's, which is not installed: pip install -e '.[bench]'")
  environment = workdir.environment("torch", "torch-fidelity")
  print("{processor}, {cores} cores; ".format(**environment), end="")
  print(", ".join(f"{package} {version}" for package, version in environment["packages"].items()))
  for measure, contenders in measures(N.value, WIDTH.value).items():
    values = {name: compute() for name, compute in contenders.items()}
    speeds = alternate({name: Contender(_times(compute)) for name, compute in contenders.items()}, WINDOWS.value, 1.0)
    seconds = {name: [1 / speed for speed in each] for name, each in speeds.items()}
    ours = statistics.median(seconds["ours"])
    print(f"\n{measure}")
    for name, each in seconds.items():
      middle = statistics.median(each)
      spread = f"{min(each):.3g} to {max(each):.3g}"
      print(f"  {name:<24} {middle:>8.3g} s  ({spread})  {middle / ours:>6.2f}x ours   {values[name]:.9g}", flush=True)


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


def _times(compute: Callable[[], float]) -> Callable[[int], None]:
  def play(rounds: int) -> None:
    for _ in range(rounds):
      compute()

  return play


if __name__ == "__main__":
  cli.start(main)
