"""Whatever is in a file or on the command line, it is read or ends in one ConfigError: nothing else is raised."""

import json
import resource
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.lab import configs, members
from gan_jax import report
from gan_jax.data import folder, idx
from gan_jax.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of files that are cut off
few = settings(
  max_examples=60, deadline=timedelta(minutes=1), derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
CONFIG = configs.load("wgan_gp")
FIELDS = st.sampled_from(
  ["train.rounds", "train.ema_decay", "seed", "nets.generator.hidden", "eval.evaluators", "dtype"]
)
NUMBERS = st.lists(st.one_of(st.floats(), st.integers(), st.text(max_size=3)), max_size=4)
HEADS = st.sampled_from(
  [b"", b"\0\0\x08\x03", b"\0\0\x08\x01", b"\x1f\x8b\x08\0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM"]
)


def read(function, *arguments):
  """In less than 1 GB more than the process has had so far."""
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  try:
    function(*arguments)
  except ConfigError as error:
    assert str(error)
  assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10**6  # kB


@few
@given(HEADS, st.binary(max_size=64), st.booleans())
def test_idx_files(head, rest, compressed):
  with tempfile.TemporaryDirectory() as place:
    for split in ("train", "t10k"):
      for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        Path(place, f"{split}-{kind}{'.gz' * compressed}").write_bytes(head + rest)
    read(idx.load, place)


@few
@given(HEADS, st.binary(max_size=200), st.sampled_from(folder.SUFFIXES))
def test_images(head, rest, suffix):
  with tempfile.TemporaryDirectory() as place:
    for name in "ab":
      Path(place, f"{name}{suffix}").write_bytes(head + rest)
    read(folder.load, place)


@few
@given(FIELDS, st.one_of(st.text(max_size=20), NUMBERS.map(lambda values: ",".join(map(str, values)))))
def test_settings(field, text):
  read(configs.parsed, CONFIG, field, text)


@few
@given(
  st.one_of(st.text(max_size=20), st.sampled_from(["game.penalty_weight", "train.ema_decay", "data.std"])),
  st.sampled_from(["", "=", "=="]),
  NUMBERS,
)
def test_grids(field, equals, values):
  read(members.parse_grid, [f"{field}{equals}{','.join(map(str, values))}"], CONFIG)


JSON = st.recursive(
  st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
  lambda each: st.one_of(st.lists(each, max_size=3), st.dictionaries(st.text(max_size=5), each, max_size=3)),
  max_leaves=5,
)


@few
@given(st.lists(st.one_of(JSON.map(json.dumps).map(str.encode), st.binary(max_size=20)), max_size=4))
def test_metrics_and_configs(lines):
  with tempfile.TemporaryDirectory() as place:
    for name in ("metrics.jsonl", "config.json"):
      Path(place, name).write_bytes(b"\n".join(lines))
    read(report.read_metrics, Path(place, "metrics.jsonl"))
    read(report.read_config, Path(place))
