"""Run in a process of its own, whose devices are virtual: `JAX_NUM_CPU_DEVICES=8 python tests/sharded.py round GAME`, `... fsdp GAME`
or `... members`.

Says what is WRONG, and at the end that it has compared.
"""

import functools
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np

from experiments import command, sweep
from experiments.build import build
from gan_jax import shard, train


def config_of(name: str, changes: dict = {}, batch: int = 16):
  config = command.load_config(f"experiments/{name}")
  config.eval.metrics, config.eval.pictures = (), ()
  return sweep.with_values(config, {"data.batch_size": batch} | changes)


def small_images(name: str, changes: dict = {}):
  config = config_of(name, changes)
  config.data.name, config.data.resolution = "digits", 8
  for net in config.nets.values():
    net.update({"width": 8} if "width" in net else {})
  return config


def games():
  """Every game, on data that needs no download, with batch norm, pools, relativistic pairs and penalties among them.

  By gradient descent, for Adam makes steps of full length of gradients that are nothing but rounding.
  """
  for name, config in _games():
    for player in config.optimizer:
      with config.optimizer.unlocked():
        config.optimizer[player] = {
          "name": "sgd",
          "learning_rate": 0.05,
          "momentum": 0.9,
        }  # whose trace is the gradient
    yield name, config


def _games():
  dense = {"data.name": "digits", "nets.generator.hidden": (32,), "nets.discriminator.hidden": (32,)}
  yield "gan", config_of("vanilla.py", dense)
  yield "fgan", config_of("fgan_kl.py", dense)
  yield "wgan", small_images("wgan.py")
  yield "wgan_gp", small_images("wgan_gp.py")
  yield "r3gan", config_of("ring8.py")
  yield "dcgan", small_images("dcgan.py")
  yield "infogan", small_images("infogan.py", {"nets.trunk.features": 32, "nets.recognition.hidden": (16,)})
  cyclegan = config_of("cyclegan.py", {"game.pool_size": 12})
  for net in cyclegan.nets.values():
    net.update({"width": 4} | ({"blocks": 1} if "blocks" in net else {"layers": 1}))
  cyclegan.data.resolution = 16
  yield "cyclegan", cyclegan


def play(game, draw, key, mesh, fsdp=False):
  """What a round gives, and the compiled program's text."""
  fresh = jax.eval_shape(lambda key: train.init(game, key), key)
  lies = shard.of_state(mesh, fresh, fsdp)
  state = jax.jit(lambda key: train.init(game, key), out_shardings=lies)(key)
  draw = shard.everywhere(mesh, draw)
  run = jax.jit(lambda state, draw: train.make_scan(game, 1, draw)(state), out_shardings=(lies, None))
  compiled = run.lower(state, draw).compile()
  return compiled(state, draw), compiled.as_text()


def compare(name, one, other, tolerance):
  """Says which leaves differ by more: gradients relative to the largest of their player, all else to its own size or 1."""
  gradients = [{player: jax.tree.leaves(s.opt[player]) for player in s.opt} for s, _ in (one, other)]
  for player, leaves in gradients[0].items():
    largest = max(np.abs(np.asarray(leaf, np.float64)).max() for leaf in leaves)
    for a, b in zip(leaves, gradients[1][player], strict=True):
      off = np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max()
      if not off <= tolerance * largest:
        print(f"WRONG: {name} {player}: a gradient differs by {off:.2e} of {largest:.2e}")
  one, other = (
    {**{f: getattr(s, f) for f in ("params", "stats", "ema", "memory")}, "metrics": m} for s, m in (one, other)
  )
  for (path, a), b in zip(jax.tree.leaves_with_path(one), jax.tree.leaves(other), strict=True):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    scale = max(np.abs(a).max(initial=0.0), 1.0)
    if not np.abs(a - b).max(initial=0.0) <= tolerance * scale:
      print(f"WRONG: {name}{jax.tree_util.keystr(path)} differs by {np.abs(a - b).max():.2e} of {scale:.2e}")


def rounds(name: str, fsdp: bool = False) -> None:
  """A round over eight devices is that of one."""
  config = dict(games())[name]
  if fsdp:  # arrays that are worth splitting
    for net in config.nets.values():
      net.width = 16
  with jax.numpy_dtype_promotion("standard"):
    experiment = build(config)
  key = jax.random.key(3)
  whole, split = shard.mesh(1), shard.mesh(8)
  game = build(config, experiment.dataset, functools.partial(shard.over_data, split)).game
  alone, _ = play(experiment.game, experiment.draw, key, whole)
  spread, text = play(game, experiment.draw, key, split, fsdp)
  compare(name, alone, spread, 1e-5)
  if name == "cyclegan" and int(spread[0].memory["x"].count) != 12:
    print("WRONG: the pools did not fill: nothing was exchanged")
  if "all-reduce" not in text:
    print(f"WRONG: {name} has no all-reduce: nothing was split")
  leaves = jax.tree.leaves(spread[0].params)
  parts = [leaf for leaf in leaves if not leaf.is_fully_replicated]
  if fsdp != bool(parts):
    print(f"WRONG: {name}: {len(parts)} of {len(leaves)} parameter arrays are split, and fsdp is {fsdp}")


def members() -> None:
  """A sweep over four devices is that of one: dense nets by eights, convolutions in turn."""
  for config in (config_of("ring8.py"), small_images("dcgan.py")):
    config.train.update({"rounds": 2, "chunk": 1})
    config.log.every = 1
    grid = {"optimizer.generator.learning_rate": [1e-3, 2e-3]}
    rows = []
    for count in (1, 4):
      config.mesh.member = count
      rows.append(sweep.sweep(config, grid, 4, Path(tempfile.mkdtemp()) / "sweep"))
    for one, other in zip(*rows, strict=True):
      for field, value in one.items():
        if not abs(value - other[field]) <= 1e-5 * max(abs(value), 1.0):
          print(f"WRONG: {config.game.name}: {field} is {value} and {other[field]}")


if __name__ == "__main__":
  with jax.default_matmul_precision("highest"):
    {"round": rounds, "fsdp": functools.partial(rounds, fsdp=True), "members": members}[sys.argv[1]](*sys.argv[2:])
  print("compared")
