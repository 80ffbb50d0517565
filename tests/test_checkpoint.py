"""A state written down is the state read back, whatever its leaves; a broken one is named."""

import chex
import jax
import jax.numpy as jnp
import pytest
from gan_jax import checkpoint, train

import toy


def played(rounds: int):
  game = toy.ring_game()._replace(init_memory=lambda key: {"key": key, "pools": {0: jnp.arange(3), 7: jnp.ones(2)}})
  return game, jax.jit(train.make_scan(game, rounds, toy.ring_batch))(train.init(game, jax.random.key(5)))[0]


def bits(state):
  return jax.tree.map(
    lambda x: jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x, state
  )


def test_round_trip(tmp_path):
  """Typed random keys, integers, dictionaries with numbers for keys: all come back, from shapes alone."""
  game, state = played(3)
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    checkpoint.save(checkpoints, state)
  like = jax.eval_shape(lambda key: train.init(game, key), jax.random.key(0))
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    restored = checkpoint.restore(checkpoints, like)
  chex.assert_trees_all_equal_shapes_and_dtypes(restored, state)
  chex.assert_trees_all_equal(bits(restored), bits(state))


def test_an_empty_folder_has_no_state(tmp_path):
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    assert checkpoint.restore(checkpoints, played(1)[1]) is None


def test_the_newest_is_restored_and_few_are_kept(tmp_path):
  with checkpoint.open_folder(tmp_path / "c", keep=2) as checkpoints:
    for rounds in (1, 2, 3):
      checkpoint.save(checkpoints, played(rounds)[1])
    checkpoints.wait_until_finished()
    assert sorted(checkpoints.all_steps()) == [2, 3]
    assert int(checkpoint.restore(checkpoints, played(1)[1]).step) == 3


def test_a_damaged_checkpoint_is_named(tmp_path):
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    checkpoint.save(checkpoints, played(1)[1])
  for file in (tmp_path / "c" / "1").rglob("*"):
    if file.is_file() and file.stat().st_size > 100:
      file.write_bytes(file.read_bytes()[:50])
  with checkpoint.open_folder(tmp_path / "c") as checkpoints:
    with pytest.raises(ValueError, match=r"c/1 cannot be read .*remove that folder"):
      checkpoint.restore(checkpoints, played(1)[1])
