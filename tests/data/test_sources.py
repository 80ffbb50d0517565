"""Data by name: the project's own, places on disk, and functions of one's own."""

import numpy as np
import pytest

from gan_jax.data import sources
from gan_jax.data.dataset import from_arrays
from gan_jax.errors import ConfigError


def mine(n: int = 4):
  """Arrays of one's own as a source."""
  images = np.arange(n * 16, dtype=np.uint8).reshape(n, 4, 4, 1)
  return from_arrays("mine", {"x": images}, {"x": images})


@pytest.mark.parametrize("name", sources.SOURCES)
def test_every_name_is_a_function_whose_data_has_it(name):
  function = sources.source(name)
  assert function.__name__ == name and function.__module__.startswith("gan_jax.data.")


def test_data_is_loaded_with_its_settings():
  dataset = sources.load("ring8", std=0.5)
  assert dataset.name == "ring8" and set(dataset.arrays["scales"].tolist()) == {0.5} and dataset.domains == ("x",)


def test_a_function_of_ones_own_is_a_source(monkeypatch):
  dataset = sources.load(f"{__name__}:mine", n=3)
  assert dataset.size == 3 and set(dataset.arrays) == {"x"}


@pytest.mark.parametrize(
  ("name", "message"),
  [
    ("mnist5", "data.name is 'mnist5', which is not known. Did you mean 'mnist5k'"),
    ("qqqq", "Accepted are, among others, digits, folder:, grid25"),
    ("foldr:/images", "data.name is 'foldr:/images', which is not known.*Did you mean 'folder:'"),
    ("idx:/nowhere/at/all", "/nowhere/at/all"),
    ("folder:", "data.name is 'folder:'; give what it reads after the colon, folder:PLACE"),
  ],
)
def test_names_that_are_not_there(name, message):
  with pytest.raises(ConfigError, match=message):
    sources.load(name)


def test_a_module_of_ones_own_with_a_mistake_keeps_its_traceback(tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(tmp_path)
  (tmp_path / "data_of_mine.py").write_text("import a_module_that_is_not_there\n")
  with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
    sources.load("data_of_mine:load")
  with pytest.raises(ConfigError, match="has no 'min'. Did you mean 'mine'"):
    sources.load(f"{__name__}:min")
