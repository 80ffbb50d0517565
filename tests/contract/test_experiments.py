"""Every experiment and variant as it is: it builds, with its data and evaluators, and its rounds and evaluations
trace."""

import ast

import jax
import pytest
import tiny
from jax.tree_util import Partial

from experiments.evaluators import translation
from experiments.lab import configs
from experiments.lab.build import build
from gan_jax import train
from gan_jax.metrics.features import Extractor


@pytest.mark.parametrize("name", tiny.ALL)
def test_it_builds_and_its_rounds_and_evaluations_trace(name, monkeypatch):
  judge = Extractor("pixels", Partial(lambda x: x.reshape(len(x), -1)[:, :10]), Partial(lambda pixels: pixels), 1.0)
  monkeypatch.setattr(translation.classifier, "train", lambda *_: judge)  # for it would take a minute
  for stage in configs.stages(configs.load(name)):
    if stage.config.data.name.startswith("folder:"):
      pytest.skip("it is for a folder of one's own")
    experiment = build(stage.config)
    assert stage.config.threads == (len(experiment.dataset.shape) < 3)  # points gain nothing from a second thread
    game, batch = experiment.game, jax.eval_shape(experiment.draw, jax.random.key(0))
    state = jax.eval_shape(lambda key: train.init(game, key, batch), jax.random.key(0))
    batches = jax.eval_shape(lambda state: train.draw_round(game, experiment.draw, state), state)
    assert jax.eval_shape(train.make_step(game), state, batches)[0] == state
    jax.eval_shape(experiment.evaluation.measure, state)
    for picture in experiment.evaluation.pictures:
      assert jax.eval_shape(picture.draw, state).shape[1:] == experiment.dataset.shape


@pytest.mark.parametrize("path", configs.experiments_in(), ids=lambda path: path.stem)
def test_it_says_what_it_is_and_how_it_is_run(path):
  """One line that the front door shows, and the command."""
  about = ast.get_docstring(ast.parse(path.read_text()))
  assert about and len(about.partition("\n")[0]) <= 120 and f"--config={path.stem}" in about
