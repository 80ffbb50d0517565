"""From configs to games: every experiment builds and plays, and every mistake is told with the nearest right answer."""

import subprocess
import sys
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from experiments import command, measures
from experiments.build import DIVERGENCES, GAMES, build, build_game, build_nets
from gan_jax import train
from gan_jax.game import Net

ROOT = Path(__file__).parent.parent.parent
CONFIGS = command.experiments_in(ROOT / "experiments")
VARIANTS = {"vanilla": ["minimax", "nonsaturating"], "fgan": sorted(DIVERGENCES), "cyclegan": ["unet"]}
EVERY = [f"{p}{v}" for p in CONFIGS for v in ["", *(f":{v}" for v in VARIANTS.get(p.stem, []))]]


def small(path: str) -> ConfigDict:
  config = command.load_config(path)
  config.data.batch_size = 4
  return config


@pytest.mark.parametrize("path", EVERY, ids=lambda p: Path(p).name)
def test_every_config_builds_and_takes_one_round(path, monkeypatch):
  monkeypatch.setattr(measures.features, "classifier", lambda *_: None)  # it would be trained, and judge nothing here
  experiment = build(small(path))
  key = jax.random.key(0)
  state = jax.jit(lambda key: train.init(experiment.game, key, jax.eval_shape(experiment.draw, key)))(key)
  state, metrics = jax.jit(lambda s, draw: train.make_scan(experiment.game, 1, draw)(s))(state, experiment.draw)
  chex.assert_tree_all_finite((state.params, metrics))
  given = {"x": experiment.draw(key)["x"][:3]} if "x_to_y" in experiment.game.nets else {}
  samples = jax.jit(lambda s: experiment.game.sample(*train.averaged(s), key, 3, **given))(state)
  chex.assert_shape(samples, (3, *experiment.dataset.shape))
  if len(experiment.dataset.shape) == 3:
    assert np.abs(samples).max() <= 1.0


def test_settings_reach_their_owner():
  config = small(str(ROOT / "experiments/fgan.py"))
  config.game.discriminator_steps = 3
  config.game.latent_dim = 7
  config.nets.generator.hidden = (5, 6)
  config.train.ema_decay = 0.25
  game = build(config).game
  assert game.moves[0].repeat == 3 and game.ema_decay == 0.25
  params = game.nets["generator"].init(jax.random.key(0))[0]
  assert [params[f"Dense_{i}"]["kernel"].shape for i in range(3)] == [(7, 5), (5, 6), (6, 784)]


def test_bfloat16_computes_in_bfloat16_and_keeps_float32():
  config = small(str(ROOT / "experiments/fgan_kl.py"))
  config.dtype = "bfloat16"
  experiment = build(config)
  state = train.init(experiment.game, jax.random.key(0), jax.eval_shape(experiment.draw, jax.random.key(0)))
  assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {jnp.dtype(jnp.float32)}
  text = jax.jit(lambda s: experiment.game.sample(s.params, s.stats, s.key, 2)).lower(state).as_text()
  assert "dot_general" in text and "bf16" in text


MISTAKES = {
  "game.name is 'gna'.* Did you mean 'gan'": {"game.name": "gna"},
  "game.divergence is 'kll'.* Did you mean 'kl'": {"game.divergence": "kll"},
  "game.prior is 'gaussian'.* Accepted: normal, uniform": {"game.prior": "gaussian"},
  "game.latent_dims is not a setting of fgan. Did you mean 'latent_dim'": {"game.latent_dims": 3},
  "nets.generator.name is 'mlp_generater'.* Did you mean 'mlp_generator'": {"nets.generator.name": "mlp_generater"},
  "nets.generator.hiden is not a setting of mlp_generator. Did you mean 'hidden'": {"nets.generator.hiden": (3,)},
  "nets.generator: hidden is 0; it has to be at least 1": {"nets.generator.hidden": (16, 0)},
  "nets.generator: hidden is 'a'; it has to be an integer": {"nets.generator.hidden": (8, "a")},
  "nets.generator: activation is 'rellu'.* Did you mean 'relu'": {"nets.generator.activation": "rellu"},
  "nets.discriminator: frequencies\\[0\\] is 'a'; it has to be above 0": {"nets.discriminator.frequencies": ("a", 2.0)},
  "nets.critic: the game fgan has none": {"nets.critic": {"name": "mlp_discriminator"}},
  "optimizer.generator.name is 'adm'.* Did you mean 'adam'": {"optimizer.generator.name": "adm"},
  "optimizer.generator.lr is not a setting of adam.* Accepted: .*learning_rate": {"optimizer.generator.lr": 0.1},
  "optimizer.generator.learning_rate is 0.0": {"optimizer.generator.learning_rate": 0.0},
  "optimizer.generator.learning_rate is nan": {"optimizer.generator.learning_rate": float("nan")},
  "optimizer.generator.learning_rate is inf": {"optimizer.generator.learning_rate": float("inf")},
  "optimizer.generator.b1 is 1.0; it has to be at least 0 and below 1": {"optimizer.generator.b1": 1.0},
  "optimizer.generator.b2 is -0.1": {"optimizer.generator.b2": -0.1},
  "train.ema_decay is 1.0; it has to be at least 0 and below 1": {"train.ema_decay": 1.0},
  "optimizer.critic: the game fgan has none": {"optimizer.critic": {"name": "sgd", "learning_rate": 0.1}},
  "data.name is 'mnist5'.* Did you mean 'mnist5k'": {"data.name": "mnist5"},
  "data.batch_size is 4001, but mnist5k has 4000 training examples": {"data.batch_size": 4001},
  "data.batch_size is 0": {"data.batch_size": 0},
  "data.resolution is not a setting of ring8": {"data.name": "ring8", "data.resolution": 32},
  "dtype is 'float16'.* Accepted: bfloat16, float32": {"dtype": "float16"},
  "nets.generator: dcgan_generator works on square images": {
    "nets.generator": {"name": "dcgan_generator"},
    "data.name": "ring8",
  },
  "latent_dim is -1": {"game.latent_dim": -1},
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_told(message):
  config = small(str(ROOT / "experiments/fgan_kl.py"))
  for field, value in MISTAKES[message].items():
    *path, last = field.split(".")
    owner = config
    for part in path:
      owner = owner[part]
    owner[last] = ConfigDict(value) if isinstance(value, dict) else value
  with pytest.raises(ValueError, match=message):
    build(config)


def test_a_missing_net_or_optimizer_is_told():
  for field in ("nets", "optimizer"):
    config = small(str(ROOT / "experiments/fgan_kl.py"))
    del config[field]["discriminator"]
    with pytest.raises(ValueError, match="discriminator"):
      build(config)


def test_the_size_of_a_latent_is_that_of_the_game():
  config = small(str(ROOT / "experiments/fgan_kl.py"))
  del config.game["latent_dim"]
  game = build(config).game
  assert game.nets["generator"].init(jax.random.key(0))[0]["Dense_0"]["kernel"].shape[0] == 64


def test_a_game_without_latents_takes_no_net_that_needs_them(monkeypatch):
  def make(*, generator: Net, discriminator: Net, tx):
    raise AssertionError("not reached")

  monkeypatch.setitem(GAMES, "translation", make)
  config = small(str(ROOT / "experiments/fgan_kl.py"))
  config.game = {"name": "translation"}
  with pytest.raises(ValueError, match="nets.generator: it maps latents, and this game has none"):
    build(config)


def small_infogan(**nets) -> ConfigDict:
  config = small(str(ROOT / "experiments/infogan.py"))
  config.nets.generator.width = config.nets.trunk.width = 2
  config.nets.trunk.features = 16
  for role, net in nets.items():
    config.nets[role] = ConfigDict(net)
  return config


def inputs_and_outputs(net: Net) -> tuple[int, int]:
  """Of a net with one dense layer."""
  return net.init(jax.random.key(0))[0]["Dense_0"]["kernel"].shape


@pytest.mark.parametrize(("learnt", "outputs"), [(True, 3 + 2 * 4), (False, 3 + 4)])
def test_heads_stand_on_the_features_of_the_trunk(learnt, outputs):
  config = small_infogan(recognition={"name": "mlp_recognition", "hidden": ()})
  config.game.update(categorical=(3,), continuous=4, learnt_variance=learnt, latent_dim=9)
  nets = build_nets(config, (8, 8, 1))
  assert inputs_and_outputs(nets["discriminator"]) == (16, 1)
  assert inputs_and_outputs(nets["recognition"]) == (16, outputs)
  params, stats = nets["generator"].init(jax.random.key(0))
  images, _ = nets["generator"].apply(params, stats, jnp.zeros((2, 9)))
  params, stats = nets["trunk"].init(jax.random.key(0))
  features, _ = nets["trunk"].apply(params, stats, images)
  assert images.shape == (2, 8, 8, 1) and features.shape == (2, 16)


def test_codes_that_a_config_leaves_out_are_those_of_the_game():
  """Ten classes, two numbers, learnt variances: 10 + 2 + 2 outputs."""
  config = small_infogan(recognition={"name": "mlp_recognition", "hidden": ()})
  for name in ("categorical", "continuous", "learnt_variance", "latent_dim"):
    del config.game[name]
  assert inputs_and_outputs(build_nets(config, (8, 8, 1))["recognition"]) == (16, 14)


def test_a_head_that_needs_images_is_told_what_it_gets():
  config = small_infogan(discriminator={"name": "dcgan_discriminator"})
  with pytest.raises(ValueError, match=r"nets.discriminator: dcgan_discriminator works on square images.*shape \[16\]"):
    build_nets(config, (8, 8, 1))


def test_a_recognition_head_without_codes_is_told():
  config = small(str(ROOT / "experiments/fgan_kl.py"))
  config.nets.recognition = {"name": "mlp_recognition"}
  with pytest.raises(ValueError, match="nets.recognition: it reads codes, and this game has none"):
    build(config)
  config.nets.recognition = {"name": "mlp_discriminator"}
  with pytest.raises(ValueError, match="nets.recognition: the game fgan has none of that name"):
    build(config)


def small_cyclegan() -> ConfigDict:
  config = small(str(ROOT / "experiments/cyclegan.py"))
  for role, net in config.nets.items():
    net.width = 2
  return config


def test_the_shape_of_pools_is_that_of_the_data():
  config, shape = small_cyclegan(), (16, 16, 3)
  config.game.pool_size = 7
  game = build_game(config.game, build_nets(config, shape), config.optimizer, shape)
  memory = game.init_memory(jax.random.key(0))
  assert {k: v.images.shape for k, v in memory.items()} == {"x": (7, *shape), "y": (7, *shape)}
  config.game.shape = shape
  with pytest.raises(ValueError, match="game.shape is not a setting of cyclegan"):
    build_game(config.game, build_nets(config, shape), config.optimizer, shape)


def test_a_translator_maps_images():
  config = small_cyclegan()
  config.nets.y_to_x = {"name": "dcgan_generator"}
  with pytest.raises(ValueError, match="nets.y_to_x: it maps latents, and this game has none"):
    build_nets(config, (16, 16, 3))


def test_the_rate_of_a_longer_run_ends_at_zero_and_stays_there():
  """cyclegan's schedule counts rounds, whatever the moves in each."""
  config = small_cyclegan()
  config.game.discriminator_steps = 2
  schedule = {**config.optimizer.generators.schedule, "rounds": 4}
  for player in config.optimizer:
    config.optimizer[player] = ConfigDict({"name": "sgd", "learning_rate": 0.5, "schedule": schedule})
  game = build_game(config.game, build_nets(config, (16, 16, 3)), config.optimizer, (16, 16, 3))
  for player, moves in (("generators", 1), ("discriminators", 2)):
    tx, steps = game.players[player].tx, []
    state = tx.init(jnp.zeros(()))
    for _ in range(6 * moves):
      with jax.numpy_dtype_promotion("standard"):
        update, state = tx.update(jnp.ones(()), state)
      steps.append(-float(update))
    np.testing.assert_allclose(steps[::moves], [0.5, 0.5, 0.5, 0.25, 0.0, 0.0], atol=1e-7)
    np.testing.assert_array_equal(steps[::moves], steps[moves - 1 :: moves])


def parsed(*arguments):
  """What a command makes of its arguments: exit status, messages."""
  code = (
    "from absl import flags; from experiments import command, run;"
    "command.start(lambda: print(run.CONFIG.value.train.rounds, run.CONFIG.value.train.ema_decay))"
  )
  done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300)
  return done.returncode, done.stdout + done.stderr


def test_flags_with_a_space_are_flags_with_an_equals_sign():
  arguments = ["--config", "experiments/fgan_kl.py", "--config.train.rounds", "100", "-config.train.ema_decay=0.5"]
  assert parsed(*arguments) == (0, "100 0.5\n")
  arguments[3] = "many"
  status, told = parsed(*arguments)
  assert status == 1 and "train.rounds is given as 'many'; it takes ints" in told


def test_a_file_that_is_no_experiment_is_not_executed(tmp_path):
  path = tmp_path / "other.py"
  path.write_text("raise SystemExit('executed')\n")
  with pytest.raises(ValueError, match="other.py is no experiment: it has no get_config"):
    command.load_config(str(path))


def test_loss_with_arguments():
  config = small(str(ROOT / "experiments/lsgan.py"))
  config.game.loss.c = 0.5
  assert build(config).game.moves[0].repeat == 1
  config.game.loss.d = 1.0
  with pytest.raises(ValueError, match="game.loss.d is not a setting of least_squares. Accepted: a, b, c, scale"):
    build(config)
  config.game.loss = {"name": "hing"}
  with pytest.raises(ValueError, match="game.loss.name is 'hing'.* Did you mean 'hinge'"):
    build(config)


@pytest.mark.parametrize("field", ["game.name", "data.batch_size", "eval.metrics", "optimizer"])
def test_a_config_that_lacks_a_field_is_told(field):
  config = small(str(ROOT / "experiments/fgan_kl.py"))
  section, _, name = field.partition(".")
  del (config[section] if name else config)[name or section]
  with pytest.raises(ValueError, match=f"the config has no {field}"):
    build(config)
