"""Names are files: what is found under a name, what is not, and the settings that functions have."""

import functools
import sys
from collections.abc import Callable

import jax
import optax
import pytest
from ml_collections import ConfigDict

from experiments.lab import configs, names
from gan_jax import augment, priors
from gan_jax.errors import ConfigError
from gan_jax.games import direct, infogan
from gan_jax.losses import adversarial, penalties
from gan_jax.losses.adversarial import AdversarialLoss
from gan_jax.nets import dcgan

PAPER = '''
"""Somebody's own paper."""
from gan_jax.games.gan import make, specs

def double(loss_scale: float = 2.0):
  """A schedule."""
  return lambda step: loss_scale

def shifted(key, shape, /, *, by: float = 1.0):
  import jax
  return by + jax.random.normal(key, shape)
'''


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
  """A package outside of the repository."""
  package = tmp_path / "somewhere"
  package.mkdir()
  (package / "__init__.py").write_text("")
  (package / "paper.py").write_text(PAPER)
  (package / "broken.py").write_text("import a_module_that_is_not_there\n")
  monkeypatch.syspath_prepend(tmp_path)
  yield "somewhere.paper"
  for module in [name for name in sys.modules if name.startswith("somewhere")]:
    del sys.modules[module]


@pytest.mark.parametrize(
  ("kind", "name", "expected"),
  [
    (names.GAME, "infogan", infogan),
    (names.NET, "dcgan.generator", dcgan.generator),
    (names.OPTIMIZER, "optax.adam", optax.adam),
    (names.VALUE, "adversarial.hinge", adversarial.hinge),
    (names.VALUE, "penalties.r1", penalties.r1),
    (names.VALUE, "priors.uniform", priors.uniform),
    (names.VALUE, "augment.differentiable", augment.differentiable),
    (names.VALUE, "optax.linear_schedule", optax.linear_schedule),
  ],
)
def test_full_names_are_files(kind, name, expected):
  assert names.find(kind, name, "field") == (name, expected)


@pytest.mark.parametrize(
  ("kind", "name", "full"),
  [
    (names.NET, "resnet", "translation.resnet"),
    (names.OPTIMIZER, "adam", "optax.adam"),
    (names.VALUE, "hinge", "adversarial.hinge"),
    (names.VALUE, "pearson", "divergences.pearson"),
  ],
)
def test_the_only_function_of_a_name_needs_no_file(kind, name, full):
  assert names.find(kind, name, "field")[0] == full


@pytest.mark.parametrize(
  ("kind", "name", "message"),
  [
    (names.GAME, "infogam", "field is 'infogam', which is not known. Did you mean 'infogan'"),
    (names.NET, "dcgam.generator", "'dcgam.generator', which is not known. Did you mean 'dcgan.generator'"),
    (names.NET, "dcgan.genrator", "Did you mean 'dcgan.generator'"),
    (names.NET, "mlp_generator", "Did you mean 'mlp.generator'"),
    (names.NET, "generator", "is ambiguous: there are dcgan.generator and mlp.generator"),
    (names.NET, "", "it has to be the name of a net"),
    (names.NET, 3, "field is 3; it has to be the name of a net"),
    (names.OPTIMIZER, "adm", "Did you mean 'optax.adam"),
    (names.VALUE, "adversarial.hing", "Did you mean 'adversarial.hinge'"),
    (names.EVALUATOR, "mods", "Did you mean 'modes'"),
    (names.GAME, "nowhere.paper:", "there is no module 'nowhere.paper' on the Python path"),
    (names.VALUE, "gan_jax.priors:norml", "gan_jax.priors has no 'norml'. Did you mean 'normal'"),
  ],
)
def test_names_that_are_not_there(kind, name, message):
  with pytest.raises(ConfigError, match=message):
    names.find(kind, name, "field")


def test_a_suggestion_lists_a_few_names():
  for kind in (names.NET, names.OPTIMIZER, names.VALUE):
    with pytest.raises(ConfigError) as caught:
      names.find(kind, "generatr" if kind is names.NET else "adm", "field")
    assert str(caught.value).count("'") <= 2 * 4 and len(names.known(kind)) > 12


def test_every_kind_holds_what_it_says():
  """Builders take a spec, optimizers a learning rate; no private file or function, nothing imported, is a name."""
  assert {"infogan", "cyclegan", "wgan_gp"} <= set(names.known(names.GAME))
  assert not [name for kind in (names.GAME, names.NET, names.VALUE) for name in names.known(kind) if "_extends" in name]
  for name, builder in names.known(names.NET).items():
    module, _, function = name.partition(".")
    assert builder.__module__ == f"gan_jax.nets.{module}" and builder.__name__ == function
  assert {"optax.adam", "optax.sgd", "optax.rmsprop"} <= set(names.known(names.OPTIMIZER))
  assert "optax.scale_by_adam" not in names.known(names.OPTIMIZER)


def test_colon_names_are_imported_from_anywhere(elsewhere):
  config = configs.load("vanilla", {"game.name": f"{elsewhere}:", "game.prior.name": f"{elsewhere}:shifted"})
  assert config.game.discriminator_steps == 1 and config.game.prior.by == 1.0
  prior = names.resolve(config.game.prior, names.VALUE, "game.prior")
  assert prior(jax.random.key(0), (10_000,)).mean() == pytest.approx(1.0, abs=0.05)
  with pytest.raises(ConfigError, match="game.prior.bi is not a setting of somewhere.paper:shifted. Accepted: by"):
    names.resolve({"name": f"{elsewhere}:shifted", "bi": 2.0}, names.VALUE, "game.prior")
  with pytest.raises(ConfigError, match="has no 'shiftd'. Did you mean 'shifted'"):
    names.find(names.VALUE, f"{elsewhere}:shiftd", "game.prior.name")


def test_a_module_of_ones_own_that_is_broken_keeps_its_traceback(elsewhere):
  with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
    names.find(names.GAME, "somewhere.broken:", "game.name")


def test_what_is_handed_over_makes_a_function_the_value_itself():
  penalty = names.resolve({"name": "penalties.gradient_penalty", "target": 0.0}, names.VALUE, "game.penalty")
  assert isinstance(penalty, functools.partial) and penalty.keywords == {"target": 0.0}
  loss = names.resolve({"name": "adversarial.least_squares", "c": 0.5}, names.VALUE, "game.loss")
  assert isinstance(loss, AdversarialLoss)


def test_settings_are_resolved_at_any_depth():
  described = {"name": "divergences.fgan", "divergence": {"name": "divergences.alpha", "a": 2.0}, "data_first": False}
  loss = names.resolve(ConfigDict(described), names.VALUE, "game.loss")
  assert isinstance(loss, AdversarialLoss)
  described["divergence"]["b"] = 1.0
  with pytest.raises(ConfigError, match="game.loss.divergence.b is not a setting of divergences.alpha. Accepted: a"):
    names.resolve(ConfigDict(described), names.VALUE, "game.loss")
  with pytest.raises(ConfigError, match="game.loss.divergence.a is missing: divergences.alpha has no default for it"):
    names.resolve({**described, "divergence": {"name": "alpha"}}, names.VALUE, "game.loss")


def test_what_a_function_refuses_is_said_with_the_field_and_a_bug_keeps_its_traceback(elsewhere):
  with pytest.raises(ConfigError, match="nets.generator: hidden is 0; it has to be at least 1"):
    config = configs.load("vanilla", {"nets.generator.hidden": (16, 0)})
    from experiments.lab.build import build

    build(config)

  def bug(divisor: int = 0) -> Callable:
    return 1 // divisor

  with pytest.raises(ZeroDivisionError) as caught:
    names.call("game.loss", bug)
  assert "This was in making game.loss." in caught.value.__notes__


def test_nets_are_no_settings_though_a_game_may_do_without_them():
  known = names.settings_of(direct.specs, direct.make)
  assert set(known) == {"consistency_weight", "identity_weight", "loss", "pretraining"}


def test_completing_gives_full_names_and_defaults_at_any_depth():
  config = ConfigDict({"name": "gradient_penalty", "one_sided": True})
  names.complete(config, names.VALUE, "game.penalty")
  assert config.to_dict() == {
    "name": "penalties.gradient_penalty",
    "where": "interpolates",
    "one_sided": True,
    "target": 1.0,
  }
  config = ConfigDict({"name": "mlp.discriminator"})
  names.complete(config, names.NET, "nets.discriminator")
  assert config.activation.to_dict() == {"name": "activations.leaky_relu", "slope": 0.2}
  assert "dtype" not in config and config.hidden == (256, 256)
