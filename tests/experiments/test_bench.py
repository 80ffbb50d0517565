"""The bench: PyTorch plays the same games, operations are counted right, contenders alternate, figures add up."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from experiments import bench
from experiments.lab import memory, timing
from experiments.lab.build import build
from gan_jax.data import dataset

# The other cases are these at other sizes.
GAMES = ("ring8_64", "wgan_gp", "dcgan32", "wgan_gp_dcgan32", "infogan32", "cyclegan64_4")
SMALL = {"width": 4, "features": 8, "blocks": 1, "layers": 1}


def images(like, resolution):
  noise = timing.noise(resolution, 3)
  if like.endswith(":noise"):
    return noise
  arrays = {"x": np.asarray(noise.arrays["x"][..., :1])}
  return dataset.from_arrays("noise", arrays, arrays)


def small(name):
  """A case with small networks, batches and images: the experiment and its config."""
  config = timing.without_evaluation(bench.CASES[name].config())
  config.data.batch_size = 4
  for net in config.nets.values():
    net.update({field: value for field, value in SMALL.items() if field in net})
    if "hidden" in net:
      net.hidden = (8,) * len(net.hidden)
  if config.data.name == "ring8":
    return build(config), config
  return build(config, images(config.data.name, 32 if name == "dcgan64" else 16)), config


def full(name):
  """A case as it is, but for what its images show."""
  config = timing.without_evaluation(bench.CASES[name].config())
  return build(config, None if config.data.name == "ring8" else images(config.data.name, config.data.resolution))


def check(experiment, config, seed=1):
  pytest.importorskip("torch", reason="the PyTorch side of the bench needs PyTorch")
  from experiments.pytorch import games as torch_games

  torch_games.check(experiment, config, timing.start(experiment, jax.random.key(seed)))


@pytest.mark.parametrize("name", GAMES)
def test_torch_plays_the_same_round(name):
  failures = []
  for seed in (1, 2, 3):  # one that meets a ReLU's kink says nothing; another game fails from every seed
    try:
      return check(*small(name), seed)
    except ValueError as failure:
      failures.append(failure)
  raise failures[0]


def test_torch_draws_from_the_same_distributions():
  torch_games = pytest.importorskip("experiments.pytorch.games", reason="needs PyTorch")
  assert torch_games.DRAWS.keys() == torch_games.OUR_DRAWS.keys()
  for kind in torch_games.DRAWS:
    noise = torch_games.Noise(kind, (40_000,), values=(-1.0, 2.0) if kind == "uniform" else 7)
    ours = np.asarray(torch_games.OUR_DRAWS[kind](jax.random.key(0), noise), np.float32)
    theirs = torch_games.DRAWS[kind](noise, "cpu").float().numpy()
    deciles = np.linspace(0.05, 0.95, 10)
    np.testing.assert_allclose(np.quantile(theirs, deciles), np.quantile(ours, deciles), atol=0.05, err_msg=kind)


def test_torch_plays_on():
  torch_games = pytest.importorskip("experiments.pytorch.games", reason="needs PyTorch")
  experiment, config = small("cyclegan64_4")
  config.game.pool_size = 3  # which the first batch fills
  side = torch_games.Side(experiment, config, channels_last=True)
  before = {role: [p.detach().clone() for p in net.parameters()] for role, net in side.nets.items()}
  play = torch_games.player(side)
  play(3)
  assert {len(pool) for pool in side.pools.values()} == {3}
  for role, net in side.nets.items():
    assert all(p.isfinite().all() and (p != old).any() for p, old in zip(net.parameters(), before[role], strict=True))


@pytest.mark.parametrize(
  "field, value, told",
  [
    ("optimizer.generator.learning_rate", 3e-4, r"the share of generator\.0\.weight that differs is"),
    ("optimizer.generator.b1", 0.3, r"the gradient of generator\.0\.weight differs by"),  # Adam's first step hides it
    ("game.penalty_weight", 9.0, "critic/loss differs by"),
  ],
)
def test_another_setting_is_told(field, value, told):
  experiment, config = small("wgan_gp")
  config.update_from_flattened_dict({field: value})
  with pytest.raises(ValueError, match=f"not the same game: {told}"):
    check(experiment, config)


def test_another_weight_is_told(monkeypatch):
  torch_nets = pytest.importorskip("experiments.pytorch.nets", reason="needs PyTorch")
  take_over = torch_nets.take_over

  def nearly(net, params):
    take_over(net, params)
    next(net.parameters()).data.view(-1)[0] += 0.1

  monkeypatch.setattr(torch_nets, "take_over", nearly)
  with pytest.raises(ValueError, match="not the same game: discriminator/loss"):
    check(*small("ring8_64"))


def test_pools_that_do_not_exchange_are_told(monkeypatch):
  torch_games = pytest.importorskip("experiments.pytorch.games", reason="needs PyTorch")
  monkeypatch.setattr(torch_games.Side, "_exchange", lambda side, domain, images, inputs: images)
  with pytest.raises(ValueError, match="not the same game: discriminators/loss"):
    check(*small("cyclegan64_4"))


def dense(batch, *sizes):
  """Operations of one use of each layer, forwards: those of its matrix product."""
  return np.array([2 * batch * a * b for a, b in zip(sizes, sizes[1:])])


def convolutions(batch, *layers):
  """The same of 4x4 kernels, each with the pixels on its smaller side and the channels of both."""
  return np.array([2 * batch * 16 * pixels * a * b for pixels, a, b in layers])


def by_hand(generator, scorer, moves, penalties):
  """A layer costs the same forwards, for its weights' gradient and for its input's, which the first need not have."""
  shown = 2 * (3 * scorer.sum() - scorer[0])  # real and generated
  slopes = penalties * 4 * scorer.sum()  # forwards, the slope, and both again for the slope's gradient
  return moves * (generator.sum() + shown + slopes) + 3 * generator.sum() - generator[0] + 2 * scorer.sum()


DIGITS = (
  convolutions(64, (1, 100, 128), (16, 128, 64), (64, 64, 32), (256, 32, 1)),
  convolutions(64, (256, 1, 32), (64, 32, 64), (16, 64, 128), (1, 128, 1)),
)


@pytest.mark.parametrize(
  "name, layers, moves, penalties",
  [
    ("ring8_512", (dense(512, 16, 128, 128, 128, 2), dense(512, 2, 128, 128, 128, 1)), 1, 0),
    ("wgan_gp", (dense(256, 16, 128, 128, 128, 2), dense(256, 2, 128, 128, 128, 1)), 5, 1),
    ("dcgan32", DIGITS, 1, 0),
    ("wgan_gp_dcgan32", DIGITS, 5, 1),
  ],
)
def test_operations_against_a_count_by_hand(name, layers, moves, penalties):
  expected = by_hand(*layers, moves, penalties)  # products alone: activations, norms and Adam come on top
  assert expected < timing.flops(full(name)) < 1.05 * expected


def test_contenders_take_turns():
  played = []
  fake = lambda name, step: timing.Contender(lambda rounds: played.append((name, rounds)), step)
  speeds = timing.alternate({"a": fake("a", 1), "b": fake("b", 20)}, windows=3, seconds=1e-9)
  assert [name for name, _ in played[-6:]] == ["a", "b"] * 3
  assert all(rounds % 20 == 0 for name, rounds in played if name == "b")
  assert {name: len(windows) for name, windows in speeds.items()} == {"a": 3, "b": 3}


def test_figures_and_table(monkeypatch):
  monkeypatch.setattr(timing, "SIDES", (32, 64))
  case = timing.Case(lambda: small("sweep_ring8")[1], chunk=3, members=2)
  result = json.loads(json.dumps(timing.measure(case, windows=3, seconds=0.01)))
  assert list(result["contenders"]) == ["scan", "one call a round", "sweep of 2, all"]
  assert result["images_per_round"] == 4 and result["compile_seconds"] > 0 and result["notes"] == []
  experiment, _ = small("sweep_ring8")
  assert result["flops_per_round"] == timing.flops(experiment)
  scan = result["contenders"]["scan"]
  for figures in result["contenders"].values():
    assert len(figures["windows"]) == 3 and figures["rounds_per_second"] == np.median(figures["windows"])
    ratios = np.array(scan["windows"]) / np.array(figures["windows"])
    np.testing.assert_allclose(figures["scan_is_faster_by"], np.median(ratios))
    np.testing.assert_allclose(figures["rate"], figures["rounds_per_second"] * result["flops_per_round"])
    np.testing.assert_allclose(figures["share_of_matrix_product"], figures["rate"] / result["matrix_product_rate"])
  lines = timing.table("sweep_ring8", result).splitlines()
  assert len(lines) == 2 + 3 and len({len(line) for line in lines[1:]}) == 1  # aligned
  assert "1.00x" in lines[2] and lines[4].startswith("  sweep of 2, all ")


def test_a_sweep_plays_every_members_rounds():
  experiment, _ = small("sweep_ring8")
  assert timing.swept(experiment, 5, 3).step == 15


def test_memory_is_what_the_program_asks_for():
  state = jnp.zeros(1_000_000)
  compiled = jax.jit(lambda x: x + 1.0, donate_argnums=0).lower(state).compile()
  assert 4_000_000 <= memory.of_program(compiled) < 5_000_000  # the result lies where its argument did


def test_torch_that_is_not_there_is_told(monkeypatch):
  monkeypatch.setattr(bench.importlib.util, "find_spec", lambda name: None)
  with flagsaver.flagsaver():
    flags.FLAGS(["bench", "--torch", "--only=ring8_64"])
    with pytest.raises(ValueError, match=r"--torch needs PyTorch.*pip install 'gan_jax\[bench\]'"):
      bench.main()


def test_a_case_that_is_not_there_is_told():
  with flagsaver.flagsaver():
    flags.FLAGS(["bench", "--only=dcgan23"])
    with pytest.raises(ValueError, match="Did you mean 'dcgan32'"):
      bench.main()
