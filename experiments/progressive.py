"""Progressive growing on handwritten digits, from 4x4 to 32x32 by three growths. Karras et al. 2018.

    python -m experiments.run --config=progressive

Seeds 10 to 12, six and a half minutes on one core each: Fréchet distance of a classifier's features 15.5 (11.9 to 18.5;
real data 7.4), class entropy 2.290 (2.288 to 2.292) of 2.303, without a jump at a growth; one digit in four has a
broken stroke. docs/baselines.md has what larger batches gave.
"""

from typing import Any

from ml_collections import ConfigDict

from experiments import base

SHARES = {4: 1, 8: 2, 16: 4, 32: 5}  # of the rounds, by resolution


def get_config() -> ConfigDict:
  config = base.get_config()
  config.game = {"name": "progressive", "latent_dim": 64, "resolution": 4}
  for net in ("generator", "critic"):
    config.nets[net] = {"name": f"progressive.{net}", "width": 64, "halve_above": 4}
  for player in ("critic", "generator"):
    config.optimizer[player] = base.adam(2e-3, b1=0.0, b2=0.99)
  config.data.resolution = 32
  config.data.batch_size = 16
  config.train.rounds = 14_400
  config.train.ema_decay = 0.995
  config.train.chunk = 50
  config.train.stages = _stages(config.train.get_ref("rounds"))
  config.eval.every = 400
  config.checkpoint.every = 400
  config.eval.evaluators = ("samples", "images")
  return config


def _stages(rounds: Any) -> tuple[dict[str, Any], ...]:
  """At 4x4, and then at twice the resolution each: alpha rises over half of a stage, then stays 1."""
  (first, share), *growths = SHARES.items()
  start = length = rounds * share // sum(SHARES.values())
  stages: list[dict[str, Any]] = [{"game.resolution": first, "rounds": length}]
  for resolution, share in growths:
    length = rounds * share // sum(SHARES.values())
    fade = {"name": "optax.linear_schedule", "init_value": 0.0, "end_value": 1.0}
    fade |= {"transition_steps": length // 2, "transition_begin": start}
    stages.append(
      {"game.resolution": resolution, "rounds": length, "keep_optimizers": False}
      | {f"game.fade.{setting}": value for setting, value in fade.items()}
    )
    start = start + length
  del stages[-1]["rounds"]  # all that are left
  return tuple(stages)
