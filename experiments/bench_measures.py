"""Times the measures of features against those of others: `python -m experiments.bench_measures`.

N vectors of features on each side, as wide as Inception's; of the inception score, as many logits of 1,008 classes.
Contenders take turns, window by window, so only ratios within one run mean anything. torch-fidelity gets float32, which
its networks give, and its own defaults; its kernel distance draws 100 subsets of 1,000, where ours takes all pairs.
"""

import importlib.util
import statistics
from collections.abc import Callable

from absl import flags

from experiments.lab import cli, workdir
from experiments.lab.peers import measures
from experiments.lab.timing import Contender, alternate
from gan_jax.errors import ConfigError, at_least_one

N = flags.DEFINE_integer("n", 5_000, "vectors of features on each side")
WIDTH = flags.DEFINE_integer("width", 2_048, "features in a vector")
WINDOWS = flags.DEFINE_integer("windows", 3, "timed windows of each contender")

SUBSET = 1_000  # vectors that torch-fidelity's kernel distance draws at a time


def main() -> None:
  for name, flag in (("--width", WIDTH), ("--windows", WINDOWS)):
    at_least_one(name, flag.value)
  if N.value < SUBSET:
    raise ConfigError(f"--n is {N.value}; torch-fidelity's kernel distance draws subsets of {SUBSET:,}")
  if any(importlib.util.find_spec(package) is None for package in ("torch", "torch_fidelity")):
    raise ConfigError("the others are PyTorch's, which is not installed: pip install 'gan_jax[bench]'")
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


def _times(compute: Callable[[], float]) -> Callable[[int], None]:
  def play(rounds: int) -> None:
    for _ in range(rounds):
      compute()

  return play


if __name__ == "__main__":
  cli.start(main)
