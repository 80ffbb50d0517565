"""The measures that are timed against torch-fidelity's give the same numbers."""

import importlib.util
import sys
import types

import pytest

from experiments.lab import peers

EXTRACTION = (  # what its measures import of the module that extracts features, and that asks for torchvision
  "cache_lookup_one_recompute_on_miss",
  "create_feature_extractor",
  "extract_featuresdict_from_input_id_cached",
  "get_cacheable_input_name",
  "resolve_feature_extractor",
  "resolve_feature_layer_for_metric",
)


@pytest.fixture
def fidelity(monkeypatch):
  """torch-fidelity without what needs torchvision, which is not there."""
  package = importlib.util.find_spec("torch_fidelity") if importlib.util.find_spec("torch") else None
  if package is None:
    pytest.skip("torch-fidelity is not installed: pip install -e '.[bench]'")
  whole, extraction = types.ModuleType("torch_fidelity"), types.ModuleType("torch_fidelity.utils")
  whole.__path__ = list(package.submodule_search_locations or ())
  for name in EXTRACTION:
    setattr(extraction, name, None)
  monkeypatch.setitem(sys.modules, "torch_fidelity", whole)
  monkeypatch.setitem(sys.modules, "torch_fidelity.utils", extraction)


def test_others_give_the_same_numbers(fidelity):
  """torch-fidelity's moments are of float32; its kernel distance is of random subsets, and so another number."""
  distance, balls, score = (
    {name: compute() for name, compute in contenders.items()}
    for measure, contenders in peers.measures(1_000, 16).items()
    if not measure.startswith("Kernel")
  )
  assert distance["SciPy's sqrtm"] == pytest.approx(distance["ours"], rel=1e-9)
  assert distance["torch-fidelity"] == pytest.approx(distance["ours"], rel=1e-5)
  assert balls["torch-fidelity"] == pytest.approx(balls["ours"], rel=1e-6)
  assert score["torch-fidelity"] == pytest.approx(score["ours"], rel=1e-9)


def test_all_pairs_are_what_a_single_subset_of_everything_is(fidelity):
  """With one subset of all samples torch-fidelity's kernel distance is ours; its sums are in float32."""
  import numpy as np
  import torch
  from torch_fidelity import metric_kid

  from gan_jax.metrics import kernel

  x, y = np.random.default_rng(1).normal(size=(2, 200, 8))
  settings = {"kid_subsets": 1, "kid_subset_size": 200, "verbose": False}
  theirs = metric_kid.kid_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), **settings)
  assert kernel.kid(x, y).value == pytest.approx(theirs[metric_kid.KEY_METRIC_KID_MEAN], rel=1e-6)
