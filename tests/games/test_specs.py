"""What the nets of each game map, by hand."""

import inspect

import pytest

from experiments.lab import names
from gan_jax.game import DataSpec, NetSpec
from gan_jax.games import conditional, gan, infogan

IMAGE, Z = (8, 8, 3), (5,)
DATA = DataSpec(IMAGE, 10)
# The games of a pair, whose settings they have, and what each calls its critic.
CRITICS = [
  (game, ({"discriminator", "critic"} & set(inspect.signature(game.make).parameters)).pop())
  for game in names.known(names.GAME).values()
  if set(inspect.signature(game.make).parameters) > {"instance_noise", "noise_conditional", "extra_gradient"}
]


@pytest.mark.parametrize(("game", "critic"), CRITICS)
def test_a_latent_becomes_data_and_data_a_score(game, critic):
  """Settings that say nothing of shapes are let through; labels that the data has are not asked for."""
  found = game.specs(DATA, latent_dim=5, simultaneous=True)
  assert found == {"generator": NetSpec((Z,), IMAGE), critic: NetSpec((IMAGE,), ())}


@pytest.mark.parametrize(("game", "critic"), CRITICS)
def test_a_noise_conditional_critic_has_the_level_as_a_second_input(game, critic):
  found = game.specs(DATA, latent_dim=5, noise_conditional=True)
  assert found == {"generator": NetSpec((Z,), IMAGE), critic: NetSpec((IMAGE, ()), ())}


@pytest.mark.parametrize(("learnt", "outputs"), [(True, 3 + 2 + 4 + 4), (False, 3 + 2 + 4)])
def test_heads_of_infogan_stand_on_the_trunk(learnt, outputs):
  """Q gives 3 and 2 logits, 4 means, and 4 log-variances where they are learnt."""
  codes = {"categorical": (3, 2), "continuous": 4, "learnt_variance": learnt}
  assert infogan.specs(DATA, latent_dim=12, **codes, categorical_weight=2.0) == {
    "generator": NetSpec(((12,),), IMAGE),
    "trunk": NetSpec((IMAGE,), None),
    "discriminator": NetSpec(("trunk",), ()),
    "recognition": NetSpec(("trunk",), (outputs,)),
  }


def test_what_shapes_depend_on_has_no_default():
  """The config says it once."""
  needed = {gan: ["latent_dim"], infogan: ["latent_dim", "categorical", "continuous", "learnt_variance"]}
  needed[conditional] = ["condition", "latent_dim"]
  for game, settings in needed.items():
    for function in (game.specs, game.make):
      parameters = inspect.signature(function).parameters
      assert all(parameters[name].default is inspect.Parameter.empty for name in settings)
