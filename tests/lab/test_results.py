"""The table of results: medians and ranges of sweeps that are written by hand."""

import json
from pathlib import Path

import pytest
from PIL import Image

from experiments.lab import configs, results
from experiments.lab.members import write_csv
from gan_jax.errors import ConfigError

ROOT = Path(__file__).parent.parent.parent


def sweep(folder, experiment, values, extractor="a classifier"):
  folder.mkdir(parents=True)
  rows = [{"seed": 10 + i, "frechet": v, "frechet_floor": 2.0, "loss": 0.1} for i, v in enumerate(values)]
  write_csv(folder / "members.csv", rows)
  described = {
    "headline": ["frechet", "absent"],
    "explained": {"frechet": {"label": "Fréchet distance", "meaning": ""}},
    "protocol": {"images": {"samples": 100, "extractor": extractor, "accuracy": 0.98765, "why": "not said"}},
    "seconds": 180.0,
  }
  files = {
    "config.json": {"seeds": len(values), "grid": {}, "train": {"rounds": 10000 if experiment == "dcgan" else 20000}},
    "evaluation.json": described,
    "environment.json": {"experiment": experiment, "processor": "a CPU", "devices": ["cpu:0 cpu", "cpu:1 cpu"]},
  }
  for name, content in files.items():
    (folder / name).write_text(json.dumps(content))


def test_a_line_for_each_sweep_and_a_note_for_each_protocol(tmp_path):
  sweep(tmp_path / "b", "vanilla:minimax", [9.0, 5.0, 6.0])
  sweep(tmp_path / "a" / "deep", "fgan_kl", [3.0])
  sweep(tmp_path / "c", "dcgan", [1567.4, 1567.4], extractor="another")
  lines = results.table(results.read(tmp_path)).splitlines()
  assert lines[2:5] == [
    "| `dcgan` | Fréchet distance 1,567, real data 2 | (1) | 10 to 11 | 10,000 | 1.5 min | a CPU, 2 x cpu |",
    "| `fgan_kl` | Fréchet distance 3, real data 2 | (2) | 10 | 20,000 | 3.0 min | a CPU, 2 x cpu |",
    "| `vanilla_minimax` | Fréchet distance 6 (5 to 9), real data 2 | (2) | 10 to 12 | 20,000 | 1.0 min "
    "| a CPU, 2 x cpu |",
  ]
  assert lines[6] == "(1) samples: 100; extractor: another; accuracy: 0.988."
  assert lines[8] == "(2) samples: 100; extractor: a classifier; accuracy: 0.988."


def test_a_page_is_filled_between_its_marks_and_keeps_the_lines_of_others(tmp_path):
  sweep(tmp_path / "a", "fgan_kl", [3.0])
  sweep(tmp_path / "b", "dcgan", [4.0], extractor="another | one")
  both = results.read(tmp_path)
  page = f"# Results\n{results.BEGIN}\nold\n{results.END}\nbelow\n"
  whole = results.filled(page, both)
  assert whole == f"# Results\n{results.BEGIN}\n{results.table(both)}\n{results.END}\nbelow\n"
  assert whole == results.filled(whole, both) == results.filled(whole, {}) and results.shown(whole) == both
  for first, then in (("`fgan_kl`", "`dcgan`"), ("`dcgan`", "`fgan_kl`")):
    assert results.filled(results.filled(page, {first: both[first]}), {then: both[then]}) == whole
  silent = {"`dcgan`": both["`dcgan`"]._replace(protocol="")}
  assert "real data 2 |  | 10 |" in results.filled(page, silent)
  assert results.shown(results.filled(page, silent)) == silent and "(1)" not in results.filled(page, silent)
  newer = {"`dcgan`": both["`dcgan`"]._replace(protocol=both["`fgan_kl`"].protocol)}
  assert results.shown(results.filled(whole, newer)) == both | newer and "another" not in results.filled(whole, newer)


@pytest.mark.parametrize("wrong", ["no marks", f"{results.END} {results.BEGIN}"])
def test_a_page_without_a_place_for_the_table(wrong):
  with pytest.raises(ConfigError, match="has no place for the table"):
    results.filled(wrong, {})


@pytest.mark.parametrize("line", ["| `x` | 3 |", "| `x` | a | (7) | b | c | d | e |"])
def test_a_line_that_somebody_else_wrote(line):
  with pytest.raises(ConfigError, match="did not write: `x`"):
    results.filled(f"{results.BEGIN}\n{line}\n{results.END}", {})


def test_what_is_not_there_is_told(tmp_path):
  with pytest.raises(ConfigError, match="holds no sweep that is finished"):
    results.read(tmp_path)
  sweep(tmp_path / "a", "fgan_kl", [3.0])
  sweep(tmp_path / "b", "fgan_kl", [4.0])
  with pytest.raises(ConfigError, match="is a second sweep of `fgan_kl`"):
    results.read(tmp_path)
  config = json.loads((tmp_path / "b" / "config.json").read_text())
  (tmp_path / "b" / "config.json").write_text(json.dumps(config | {"data": {"name": "digits"}}))
  assert "`fgan_kl` with data.name=digits" in results.read(tmp_path)
  (tmp_path / "b" / "config.json").write_text(json.dumps(config | {"grid": {"seed": [1.0]}}))
  with pytest.raises(ConfigError, match="sweeps seed; a result is of one setting"):
    results.read(tmp_path)
  (tmp_path / "a" / "evaluation.json").unlink()
  with pytest.raises(ConfigError, match="is no whole sweep"):
    results.read(tmp_path)


def test_an_overview_has_each_experiment_with_its_picture_and_its_first_two_figures(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  Image.new("L", (4, 4)).save(tmp_path / "dcgan.png")
  line = results.Result(("`dcgan`", "a 1 (0 to 2), real data 3; b 4; c 5", "10"), "")
  of_a_variant = results.Result(("`fgan_pearson`", "a 7", "10"), "")
  page = f"above\n{results.BEGIN_OVERVIEW}\nwas here\n{results.END_OVERVIEW}\nbelow\n"
  found = results.overview(page, {"`dcgan`": line, "`fgan_pearson`": of_a_variant}, Path("."))
  assert found.startswith("above\n") and found.endswith("\nbelow\n") and "was here" not in found
  cells = [row.split(" | ") for row in found.splitlines() if "](experiments/" in row]
  rows = {each[1].split("`")[1]: each for each in cells}
  assert rows["dcgan"][0] == '| <img src="dcgan.png" width="110" alt="dcgan">' and rows["sngan"][0] == "| "
  assert rows["dcgan"][2] == "DCGAN on handwritten digits, 32x32. Radford et al. 2016."
  assert "(experiments/dcgan.py) `:digits` `:stacked`" in rows["dcgan"][1]
  assert rows["dcgan"][3] == "a 1 (0 to 2), real data 3; b 4 |"
  assert rows["fgan"][3] == "`fgan:pearson`: a 7 |" and rows["sngan"][3] == " |"
  assert set(rows) == {path.stem for path in configs.experiments_in()}
  with pytest.raises(ConfigError, match="no place for the table"):
    results.overview("a page", {}, Path("."))


def test_the_readme_has_what_the_results_and_the_experiments_say_now(monkeypatch):
  """If not: python -m experiments.results --out=docs/results.md --overview=README.md"""
  monkeypatch.chdir(ROOT)
  page = Path("README.md").read_text()
  measured = results.shown(Path("docs/results.md").read_text())
  assert results.overview(page, measured, Path("docs/images/games")) == page
  rows = results.overview(page, {}, Path("nowhere")).count("](experiments/")
  assert len(page.splitlines()) - rows <= 225
