"""Configs: a whole record, changed from the command line, told where it is wrong; stages and references."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import base
from experiments.lab import cli, configs
from gan_jax.errors import ConfigError

ROOT = Path(__file__).parent.parent.parent


def test_an_experiment_is_found_by_name_and_by_file():
  by_name, by_file = configs.load("fgan:pearson"), configs.load(str(ROOT / "experiments" / "fgan.py:pearson"))
  assert by_name.to_dict() == by_file.to_dict() and by_name.game.divergence.name == "divergences.pearson"
  assert configs.name_of("experiments/fgan.py:pearson") == configs.name_of("fgan:pearson") == "fgan_pearson"


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ("fgan_kll", "there is no experiment 'fgan_kll'. Did you mean 'fgan_kl'"),
    ("experiments/fgan_kll.py", "there is no file experiments/fgan_kll.py. Did you mean 'fgan_kl.py'"),
    ("/nowhere/mine.py", "there is no file /nowhere/mine.py, and no folder /nowhere"),
    ("fgan_kll.py", "there is no experiment 'fgan_kll'. Did you mean 'fgan_kl'"),
    ("vanilla:minmax", "vanilla.py has no variant 'minmax'. Did you mean 'minimax'"),
    ("fgan_kl:kl", "has no variants, so ':kl' cannot be chosen"),
    (str(ROOT / "tests" / "toy.py"), "toy.py is no experiment: it has no get_config"),
  ],
)
def test_experiments_that_are_not_there(given, message):
  with pytest.raises(ConfigError, match=message):
    configs.load(given)


def test_a_file_that_is_no_experiment_is_not_executed(tmp_path):
  path = tmp_path / "other.py"
  path.write_text("raise SystemExit('executed')\n")
  with pytest.raises(ConfigError, match="other.py is no experiment: it has no get_config"):
    configs.load(str(path))


def test_a_config_is_a_whole_record():
  """Every setting of every function that is named, none of which the file spells out, and JSON gives it back."""
  config = configs.load("dcgan")
  assert config.game.discriminator_steps == 1 and config.game.penalty is None
  assert config.game.loss.smoothing == 0.0 and config.optimizer.generator.eps == 1e-8
  assert config.nets.discriminator.batch_norm is True and config.data.flip is False
  again = configs.from_plain(json.loads(json.dumps(configs.plain(config))))
  assert again.to_dict() == config.to_dict()
  configs.complete(again)
  assert again.to_dict() == config.to_dict()


@pytest.mark.parametrize(
  ("name", "changes", "field", "value"),
  [
    ("dcgan", {"game.penalty.name": "penalties.r1"}, "game.penalty.name", "penalties.r1"),
    ("dcgan", {"game.penalty.name": "dragan"}, "game.penalty.spread", 0.5),
    ("vanilla", {"game.discriminator_steps": 2}, "game.discriminator_steps", 2),
    ("dcgan", {"data.flip": True}, "data.flip", True),
    ("dcgan", {"game.instance_noise": 0.1}, "game.instance_noise", 0.1),
    ("ring8", {"game.gamma": 1.0}, "game.gamma", 1.0),
    ("fgan_kl", {"nets.generator.name": "dcgan.generator"}, "nets.generator.width", 32),
    ("fgan_kl", {"data.name": "digits"}, "data.resolution", 8),
    ("dcgan", {"data.name": "digits"}, "data.resolution", 32),
    ("vanilla", {"eval.evaluators": ("samples", "modes")}, "eval.modes.n", 2_500),
    ("fgan", {"game.divergence.name": "alpha", "game.divergence.a": 0.25}, "game.divergence.a", 0.25),
    (
      "dcgan",
      {"optimizer.generator.schedule.name": "constant_schedule", "optimizer.generator.schedule.value": 1.0},
      "optimizer.generator.schedule.name",
      "optax.constant_schedule",
    ),
  ],
)
def test_every_setting_can_be_changed_without_being_spelled_out(name, changes, field, value):
  assert configs.get(configs.load(name, changes), field) == value


def test_another_name_keeps_what_both_functions_take():
  config = configs.load("lsgan", {"nets.discriminator.name": "dcgan.trunk"})
  assert config.nets.discriminator.width == 32 and "batch_norm" not in config.nets.discriminator
  config = configs.load("lsgan", {"game.loss.name": "hinge"})
  assert config.game.loss.to_dict() == {"name": "adversarial.hinge"}


@pytest.mark.parametrize(
  ("field", "message"),
  [
    ("train.ruonds", "train has no setting 'ruonds'. Did you mean 'rounds'"),
    ("tarin.rounds", "the config has no setting 'tarin'. Did you mean 'train'"),
    ("nets.generator.hiden", "nets.generator has no setting 'hiden'. Did you mean 'hidden'"),
    ("game.loss.smothing", "game.loss has no setting 'smothing'. Did you mean 'smoothing'"),
    ("seed.rounds", "seed has no setting 'rounds'"),
  ],
)
def test_fields_that_are_not_there_get_the_nearest_of_their_section(field, message):
  with pytest.raises(ConfigError, match=message):
    configs.load("vanilla", {field: 1})


@pytest.mark.parametrize(
  ("field", "text", "value"),
  [
    ("train.rounds", "50", 50),
    ("train.ema_decay", "1", 1.0),
    ("game.instance_noise", "0.5", 0.5),
    ("nets.generator.hidden", "8,16", (8, 16)),
    ("nets.generator.hidden", "(8,)", (8,)),
    ("eval.evaluators", "samples,modes", ("samples", "modes")),
    ("nets.generator.batch_norm", "", True),
    ("nets.generator.batch_norm", "false", False),
    ("data.name", "folder:/a,b", "folder:/a,b"),
  ],
)
def test_texts_become_values_of_the_fields_type(field, text, value):
  found = configs.parsed(configs.load("vanilla"), field, text)
  assert found == value and type(found) is type(value)


def test_none_leaves_out_a_section_that_has_no_default():
  """And no other: a game without a loss, a player without an optimizer."""
  config = configs.load("cyclegan")
  assert configs.parsed(config, "game.augment_y", "None") is None
  configs.change(config, {"game.augment_y": None})
  assert config.game.augment_y is None
  for field in ("game.loss", "optimizer.generators", "nets.x_to_y", "game"):
    with pytest.raises(ConfigError, match=f"{field} is a section; give its settings"):
      configs.parsed(config, field, "None")


@pytest.mark.parametrize(
  ("field", "text"), [("train.rounds", "many"), ("train.rounds", "1.5"), ("train.ema_decay", "a")]
)
def test_texts_of_another_type_are_refused(field, text):
  with pytest.raises(ConfigError, match=f"{field} is given as '{text}'; it takes"):
    configs.parsed(configs.load("vanilla"), field, text)
  with pytest.raises(ConfigError, match="game.loss is a section; give its settings"):
    configs.parsed(configs.load("vanilla"), "game.loss", "hinge")
  for field, text in (("game.penalty", "penalties.r1"), ("game.instance_noise", "abc")):
    with pytest.raises(
      ConfigError, match=f"{field} is given as '{text}'; a function is given by its name, as {field}.name"
    ):
      configs.parsed(configs.load("vanilla"), field, text)
  assert configs.parsed(configs.load("vanilla"), "game.instance_noise", "1") == 1


@pytest.mark.parametrize(
  ("field", "name"),
  [
    ("game.loss", "divergences.kl"),
    ("game.loss", "penalties.r1"),
    ("game.prior", "penalties.r1"),
    ("game.penalty", "priors.normal"),
    ("nets.generator.activation", "penalties.r2"),
    ("optimizer.generator.schedule", "adversarial.hinge"),
  ],
)
def test_a_function_of_another_kind_is_refused(field, name):
  with pytest.raises(ConfigError, match=f"{field}.name is '{name}', which is of another kind than"):
    configs.load("vanilla", {f"{field}.name": name})


def test_rounds_alone_stretch_every_schedule():
  config = configs.load("grid25", {"train.rounds": 1_000})
  assert config.game.gamma.rounds == config.game.instance_noise.rounds == 880
  assert {section.schedule.rounds for section in config.optimizer.values()} == {1_000}
  assert configs.load("cyclegan", {"train.rounds": 10}).optimizer.generators.schedule.rounds == 10


def test_a_schedule_can_be_given_rounds_of_its_own():
  config = configs.load("cyclegan", {"optimizer.generators.schedule.rounds": 7})
  assert config.optimizer.generators.schedule.rounds == 7
  assert config.train.rounds == config.optimizer.discriminators.schedule.rounds == 4_500


def staged(*stages, rounds=30):
  return configs.load("vanilla", {"train.rounds": rounds, "train.stages": stages})


def test_stages_are_the_config_with_settings_replaced():
  narrow = {"nets.generator.hidden": (8,)}
  first, second = configs.stages(staged({"rounds": 10} | narrow, {"keep_optimizers": False}))
  assert (first.start, first.end, second.start, second.end) == (0, 10, 10, 30)
  assert first.config.nets.generator.hidden == (8,) and second.config.nets.generator.hidden == (256, 512)
  assert first.keep_optimizers and not second.keep_optimizers
  assert first.config.train.rounds == 30 and first.config.train.stages == ()
  (only,) = configs.stages(configs.load("vanilla"))
  assert (only.start, only.end) == (0, 20_000)


def test_stages_may_refer_to_the_rounds_of_the_run():
  config = base.get_config()
  config.train.stages = ({"rounds": config.train.get_ref("rounds") // 4}, {})
  config.train.rounds = 80
  assert configs.plain(config)["train"]["stages"] == [{"rounds": 20}, {}]


@pytest.mark.parametrize(
  ("stages", "message"),
  [
    (({"rounds": 10}, {"rounds": 10}), "the stages have 20 rounds in all, and train.rounds is 30"),
    (({}, {"rounds": 10}), r"train.stages\[0\] has rounds None"),
    (({"rounds": 40}, {}), r"train.stages\[1\] has rounds -10"),
    (({"rounds": 10, "game.lattent_dim": 3}, {}), "game has no setting 'lattent_dim'. Did you mean 'latent_dim'"),
  ],
)
def test_stages_that_do_not_fit(stages, message):
  with pytest.raises(ConfigError, match=message):
    configs.stages(staged(*stages))


def command(*arguments, module="experiments.run"):
  done = subprocess.run(
    [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
  )
  return done.returncode, done.stdout, done.stderr


def test_the_front_door_shows_the_experiments():
  status, shown, _ = command()
  assert status == 1
  again, helped, _ = command("--help")
  assert (again, helped) == (0, shown)
  for path in configs.experiments_in():
    assert any(line.split()[0] == path.stem and len(line.split()) > 3 for line in shown.splitlines() if line.strip())
  assert "variants: minimax, nonsaturating" in shown and "--workdir" in shown


def test_help_with_an_experiment_shows_its_settings():
  status, shown, _ = command("--config=dcgan", "--help")
  assert status == 0 and "game.penalty_weight = 1.0" in shown and "--workdir" in shown


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--workdir=x"], "error: --config is missing"),
    (["--workdir=x", "-conifg.seed=3"], "error: there is no --config; did --conifg mean it?"),
  ],
)
def test_a_config_that_is_missing_or_misspelt(arguments, message):
  status, shown, error = command(*arguments)
  assert status == 1 and error.strip().endswith(message) and "experiments (--config=NAME" in shown


def test_flags_with_a_space_are_flags_with_an_equals_sign():
  rest, given, changes = cli._split(
    ["run", "--config", "fgan_kl", "--config.train.rounds", "-5", "--workdir=x", "-config.a=b"]
  )
  assert (rest, given) == (["run", "--workdir=x"], "fgan_kl")
  assert changes == {"train.rounds": "-5", "a": "b"}


def test_a_section_is_changed_before_its_settings_in_whatever_order_they_are_given():
  section = {"name": "optax.adam", "learning_rate": 1.0}
  changes = {"optimizer.generator.learning_rate": 0.5, "optimizer.generator": section}
  for given in (changes, dict(reversed(changes.items()))):
    config = configs.load("vanilla")
    configs.change(config, given)
    assert config.optimizer.generator.learning_rate == 0.5


def test_an_experiment_is_recorded_by_name_or_by_the_path_of_its_file(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "mine.py").write_text("def get_config(): ...")
  assert configs.recorded("fgan:kl") == configs.recorded(str(ROOT / "experiments" / "fgan.py:kl")) == "fgan:kl"
  assert configs.recorded("mine.py:a") == f"{tmp_path / 'mine.py'}:a"
  assert configs.recorded("a run of a notebook") == "a run of a notebook"
