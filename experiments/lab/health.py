"""The health of a run: figures of its state after each chunk, and warnings, each given once."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from tqdm import tqdm

from experiments.lab import configs
from experiments.lab.build import Experiment
from gan_jax import report, train
from gan_jax.data.dataset import decode, spread
from gan_jax.game import Game, TrainState
from gan_jax.metrics import health

METRICS, WARNINGS = "metrics.jsonl", "warnings.jsonl"
_EXAMPLES = 256  # that figures are taken of, at most


def signals(experiment: Experiment, batch_size: int) -> Callable[[TrainState], dict[str, jax.Array]]:
  """`state -> {"health/...": scalar}`, as `metrics.health.signals` has them; pure, to be jitted and vmapped.

  They are of the raw networks, on the same examples and latents after every round. Of a game that does not sample or
  score there are none.
  """
  game, dataset, n = experiment.game, experiment.dataset, min(batch_size, _EXAMPLES)
  sample, score = game.sample, game.score
  if sample is None or score is None:
    return lambda state: {}
  if experiment.draw is not None:
    batch = experiment.draw(jax.random.key(0))
  else:
    assert dataset.stream is not None
    batch = decode(next(dataset.stream(n, 0, 0, (0, 1))))
  spread_out = spread(dataset.held_out, n)
  seen, unseen = batch[dataset.domains[0]][:n], decode({"x": jnp.asarray(spread_out)})["x"]

  def look(state):
    key, raw = train.evaluation_key(state.key), (state.params, state.stats)
    fake, averaged = sample(*raw, key, n), sample(*train.averaged(state), key, n)
    found = health.signals(seen, fake, averaged, *(score(*raw, x) for x in (seen, fake, unseen)))
    found["change"] = jnp.where(jnp.asarray(game.ema_decay) > 0, found["change"], jnp.nan)  # nothing to compare with
    return {f"health/{name}": value for name, value in found.items()}

  return look


class Watch:
  """The warnings of a stage: on the terminal and in warnings.jsonl, each once in a run, however often it is resumed."""

  def __init__(self, folder: Path, stage: configs.Stage, game: Game):
    self._path = folder / WARNINGS
    self._rows = [row for row in report.read_metrics(folder / METRICS) if row["step"] > stage.start]
    self._given: set[str] = {str(row["name"]) for row in report.read_metrics(self._path)}
    self._settings = configs.flatten(configs.plain(stage.config))
    self._players = _players(game)

  def look(self, rows: Iterable[dict[str, Any]] = ()) -> None:
    """Warns of what is wrong now, after further rows, or with what has been added to the last ones."""
    self._rows += rows
    for found in health.warnings(self._rows, self._settings, *self._players):
      if found.name not in self._given:
        self._given.add(found.name)
        report.append_metrics(self._path, [{"step": self._rows[-1]["step"]} | found._asdict()])
        tqdm.write(f"warning: {found.message}")


def _players(game: Game) -> tuple[str, str]:
  """The player who owns the generator, of which an average is kept, and its opponent."""
  generators = [name for name, player in game.players.items() if {*player.owns} & {*game.averaged}]
  others = [name for name in game.players if name not in generators]
  return (generators or others)[0], (others or generators)[0]
