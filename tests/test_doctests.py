"""The examples in docstrings say what happens."""

import doctest
import importlib
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).parent.parent
WITH_EXAMPLES = [
  ".".join(path.relative_to(ROOT).with_suffix("").parts)
  for path in sorted((ROOT / "gan_jax").rglob("*.py"))
  if ">>> " in path.read_text()
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name):
  """As a reader runs them: types are promoted as jax does by itself."""
  with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
  assert found.attempted and not found.failed


def test_there_are_examples():
  assert len(WITH_EXAMPLES) > 10
