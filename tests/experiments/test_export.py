"""Runs written for others: programs against the nets that they were, weights, cards, and what cannot be written."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
import yaml

from experiments.lab import configs, export, parts, trained, workdir
from experiments.lab.build import build
from gan_jax import checkpoint, train, weights
from gan_jax.errors import ConfigError

pytestmark = pytest.mark.xdist_group("export")  # which share a run
ROOT = Path(__file__).parent.parent.parent

# What `experiments.run` writes, with a number that YAML could take for text, one that is not finite, and floors.
EVALUATION = {
  "round": 6,
  "weights": "averaged",
  "measures": {"frechet": 14.025117106588596, "kid": 1e-05, "support": None, "frechet_floor": 7.4, "entropy_most": 2.3},
  "explained": {"frechet": {"label": "Fréchet distance", "meaning": "lower is better"}},
  "headline": ["frechet"],
  "protocol": {"images": {"samples": 364, "reference": "364 real images"}},
}


def with_weights(game, step=6):
  """A state of random weights, none of them as initialised; what may be a variance is positive."""
  random = np.random.default_rng(0)

  def drawn(path, leaf):
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
      return leaf
    scale = 0.3 * random.normal(size=leaf.shape)
    return jnp.asarray(np.abs(scale) + 0.1 if "stats" in jax.tree_util.keystr(path) else scale, leaf.dtype)

  like = jax.eval_shape(lambda key: train.init(game, key), jax.random.key(0))
  state = jax.tree.map_with_path(drawn, like)
  return state.replace(step=jnp.int32(step), key=jax.random.key(0))


def run_of(name):
  """A tiny experiment as a run that has been loaded."""
  experiment, config = tiny.experiment_of(name)
  return parts.Run(Path("run"), config, experiment, with_weights(experiment.game))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  """What a DCGAN on 8x8 digits leaves after six rounds."""
  folder = tmp_path_factory.mktemp("export") / "runs" / "dcgan"
  config = configs.load("dcgan", {"data.name": "digits", "data.resolution": 8})
  config.nets.generator.width = config.nets.discriminator.width = 4
  config.eval.evaluators = ()
  workdir.write(folder, configs.plain(config), "dcgan")
  with checkpoint.open_folder(folder / "checkpoints") as checkpoints:
    state = with_weights(build(config).game)
    state = state.replace(opt=jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), state.opt), memory=())
    checkpoint.save(checkpoints, state)
  return folder


def inputs_of(part, n, seed=0):
  keys = jax.random.split(jax.random.key(seed), len(part.inputs))
  return [jax.random.normal(key, (n, *shape)) for key, shape in zip(keys, part.inputs)]


def applied(part, nets, *inputs, seed=0):
  return np.asarray(jax.jit(lambda key, *x: part.apply(*nets, key, *x))(jax.random.key(seed), *inputs))


ALONE = """
import sys

class Refuse:
  def find_spec(self, name, path=None, target=None):
    if name.partition(".")[0] in ("flax", "optax", "orbax", "chex", "gan_jax", "experiments", "ml_collections"):
      raise ImportError(f"{name} is not to be imported")

sys.meta_path.insert(0, Refuse())
import numpy as np
from jax import export

file, latents, images = sys.argv[1:]
with open(file, "rb") as opened:
  generator = export.deserialize(bytearray(opened.read()))
given = np.load(latents)
np.savez(images, **{name: generator.call(given[name]) for name in given})
assert not {"flax", "gan_jax", "experiments"} & {name.partition(".")[0] for name in sys.modules}
"""


def test_the_program_runs_with_jax_alone_and_gives_the_generators_images(finished, tmp_path):
  out = tmp_path / "generator.stablehlo"
  for _ in range(2):  # its own file it replaces
    assert "stablehlo of round 6" in export.write(str(finished), "stablehlo", out=out)
  latents = {f"of_{n}": np.asarray(jax.random.normal(jax.random.key(n), (n, 100))) for n in (3, 8)}
  np.savez(tmp_path / "latents.npz", **latents)
  files = [str(tmp_path / name) for name in ("latents.npz", "images.npz")]
  done = subprocess.run([sys.executable, "-I", "-c", ALONE, out, *files], capture_output=True, text=True, timeout=300)
  assert done.returncode == 0, done.stderr
  experiment, state = trained.load(finished)
  with np.load(files[1]) as images:
    for name, z in latents.items():
      expected = experiment.game.sample(*train.averaged(state), jax.random.key(0), len(z), latents=z)
      assert images[name].shape == (len(z), 8, 8, 1) and expected.std() > 0.1
      np.testing.assert_allclose(images[name], expected, atol=1e-5)


def test_a_program_is_for_all_platforms_and_of_averaged_weights(finished):
  run = parts.load(finished)
  part = parts.choose(run)
  exported = export.program(part, *train.averaged(run.state))
  assert exported.platforms == ("cpu", "cuda", "tpu")
  assert [str(each) for each in (*exported.in_avals, *exported.out_avals)] == ["float32[b,100]", "float32[b,8,8,1]"]
  raw = export.program(part, run.state.params, run.state.stats)
  (z,) = inputs_of(part, 2)
  assert np.abs(exported.call(z) - raw.call(z)).max() > 0.01


@pytest.mark.parametrize(
  ("name", "net", "chosen", "shapes"),
  [
    ("bigan", "encoder", "encoder", [(16, 16, 1), (32,)]),
    ("cgan", None, "generator", [(3,), (100,), (16, 16, 1)]),
    ("cyclegan:unet", None, "x_to_y", [(16, 16, 1), (16, 16, 1)]),
    ("cogan:colours", None, "sample_x", [(100,), (16, 16, 1)]),
    ("direct:shallow", "x_to_y", "x_to_y", [(16, 16, 1), (16, 16, 1)]),
  ],
)
def test_a_program_maps_what_the_part_maps_at_any_batch_size(name, net, chosen, shapes):
  run = run_of(name)
  nets = train.averaged(run.state)
  part = parts.choose(run, net)
  exported = export.program(part, *nets)
  assert part.name == chosen
  assert [each.shape[1:] for each in (*exported.in_avals, *exported.out_avals)] == shapes
  given = inputs_of(part, 5)
  expected = applied(part, nets, *given)
  close = lambda found, expected: np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
  close(exported.call(*given), expected)
  close(exported.call(*(x[3:4] for x in given)), expected[3:4])


def test_parts_are_what_the_game_can_be_asked_for():
  run = run_of("cogan:colours")
  nets, game = train.averaged(run.state), run.experiment.game
  part = parts.choose(run, "sample_y")
  (z,) = inputs_of(part, 2)
  expected = jax.jit(lambda z: game.sample(*nets, jax.random.key(0), 2, latents=z, domain="y"))(z)
  np.testing.assert_allclose(applied(part, nets, z), expected, atol=1e-6)
  assert np.abs(applied(parts.choose(run), nets, z) - expected).max() > 0.01
  run = run_of("bigan")
  nets, game = train.averaged(run.state), run.experiment.game
  part = parts.choose(run, "encoder")
  (x,) = inputs_of(part, 2)
  expected = jax.jit(lambda x: game.encode(*nets, None, x))(x)
  np.testing.assert_allclose(applied(part, nets, x), expected, rtol=1e-5)


def test_what_draws_after_training_takes_a_seed():
  """pix2pix's dropout is its noise; other programs take no seed, for they draw nothing."""
  run = run_of("pix2pix:outlines")
  nets, part = train.averaged(run.state), parts.choose(run)
  exported = export.program(part, *nets)
  assert [str(each) for each in exported.in_avals] == ["float32[b,16,16,1]", "uint32[]"]
  (x,) = inputs_of(part, 3)
  expected = applied(part, nets, x, seed=7)
  np.testing.assert_allclose(exported.call(x, jnp.uint32(7)), expected, atol=1e-5)
  assert np.abs(exported.call(x, jnp.uint32(8)) - expected).max() > 0.01


def test_several_nets_under_one_name_are_refused():
  run = run_of("ensemble:digits")
  with pytest.raises(ConfigError, match=r"'generator' is several nets under one name.* Accepted: discriminator"):
    parts.choose(run)
  assert parts.choose(run, "discriminator").inputs == ((16, 16, 1),)


def test_a_net_that_reads_len_is_told_what_to_read():
  part = parts.Part("mine", lambda params, stats, key, x: x.reshape(len(x), -1), ((2, 2),))
  with pytest.raises(TypeError) as raised:
    export.program(part, {}, {})
  assert "reads x.shape[0], where len(x) fails" in "".join(raised.value.__notes__)


def test_safetensors_hold_the_averaged_weights_and_the_config(finished, tmp_path):
  from safetensors import safe_open
  from safetensors.numpy import load_file

  out = tmp_path / "weights.safetensors"
  export.write(str(finished), "safetensors", out=out)
  run = parts.load(finished)
  params, stats = (tree["generator"] for tree in train.averaged(run.state))
  for found in (load_file(out), weights.read(out)):
    leaves = len(jax.tree.leaves((params, stats)))
    assert len(found) == leaves and {name.split("/")[1] for name in found} == {"generator"}
    np.testing.assert_array_equal(found["params/generator/kernel"], params["kernel"])
    mean = stats["batch_stats"]["BatchNorm_0"]["mean"]
    np.testing.assert_array_equal(found["stats/generator/batch_stats/BatchNorm_0/mean"], mean)
  with safe_open(out, "np") as file:
    header = file.metadata()
  assert configs.from_plain(json.loads(header["config"])) == configs.from_plain(configs.plain(run.config))
  assert header["round"] == "6" and json.loads(header["averaged"]) == ["generator"]
  export.write(str(finished), "safetensors", net="discriminator", out=out)
  with safe_open(out, "np") as file:
    assert file.metadata()["averaged"] == "[]" and all("/discriminator/" in name for name in load_file(out))


def test_scalars_and_integers_keep_their_shape_and_type():
  from safetensors.numpy import load

  run = run_of("dirac:minimax")
  found = load(export.FORMATS["safetensors"].content(run, export.Weights("weights", ("generator",))))
  assert {name: (array.shape, array.dtype) for name, array in found.items()} == {
    "params/generator/theta": ((), np.float32)
  }


def front_matter(card):
  _, head, body = card.split("---\n", 2)
  return yaml.safe_load(head), body


def test_a_cards_figures_are_those_of_evaluation_json(finished, tmp_path):
  run = shutil.copytree(finished, tmp_path / "dcgan")
  (run / "evaluation.json").write_text(json.dumps(EVALUATION))
  export.write(str(run), "card")
  head, body = front_matter((run / "export" / "README.md").read_text())
  assert head["library_name"] == "gan_jax" and head["pipeline_tag"] == "unconditional-image-generation"
  assert "license" not in head and "gan" in head["tags"]
  ((result,),) = [index["results"] for index in head["model-index"]]
  assert {metric["type"]: metric["value"] for metric in result["metrics"]} == {
    "frechet": EVALUATION["measures"]["frechet"],
    "kid": 1e-05,
  }
  assert all(metric["args"] == EVALUATION["protocol"] for metric in result["metrics"])
  assert result["dataset"]["name"] == "digits"
  assert "| Fréchet distance | 14.0251 | 7.4 | lower is better |" in body and "| support | not finite |" in body
  assert "- images, reference: 364 real images" in body and "Measured after round 6" in body
  assert "The weights here" not in body and '"width": 4' in body
  environment = json.loads((run / "environment.json").read_text())
  assert f"jax {environment['packages']['jax']}" in body and environment["python"] in body


def test_a_card_says_where_there_are_no_figures_or_those_of_another_round(finished, tmp_path):
  run = shutil.copytree(finished, tmp_path / "dcgan")
  export.write(str(run), "card")
  head, body = front_matter((run / "export" / "README.md").read_text())
  assert "model-index" not in head and "It has not been evaluated" in body
  (run / "evaluation.json").write_text(json.dumps(EVALUATION | {"round": 4}))
  export.write(str(run), "card")
  _, body = front_matter((run / "export" / "README.md").read_text())
  assert "Measured after round 4" in body and "The weights here are those of round 6" in body


@pytest.mark.parametrize(
  ("name", "task"), [("cyclegan:unet", "image-to-image"), ("cgan", None), ("dirac:minimax", None)]
)
def test_a_card_names_a_task_where_it_fits(name, task, tmp_path):
  run = run_of(name)._replace(workdir=tmp_path)
  head, body = front_matter(export.FORMATS["card"].content(run, parts.choose(run)).decode())
  assert head.get("pipeline_tag") == task
  assert "Not known: the run has no environment.json" in body and "`seed`" not in body


def test_the_code_on_a_card_runs(finished, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for form, file in (("card", "README.md"), ("stablehlo", "generator.stablehlo")):
    export.write(str(finished), form, out=file)
  (code,) = re.findall(r"```python\n(.*?)```", Path("README.md").read_text(), re.S)
  given = {}
  exec(code, given)
  assert given["outputs"].shape == (4, 8, 8, 1)
  assert "`priors.uniform(high=1.0, low=-1.0)`" in Path("README.md").read_text()
  assert np.abs(np.diff(given["outputs"], axis=0)).max() > 0.01  # of latents that the game's prior draws


def test_own_files_are_replaced_and_those_of_others_left(finished, tmp_path):
  for form, name in (("safetensors", "a.safetensors"), ("card", "README.md")):
    out = tmp_path / name
    export.write(str(finished), form, out=out)
    export.write(str(finished), form, out=out)
    theirs = b"gan_jax is a library" if form != "card" else out.read_bytes().replace(b"## Limits", b"## Limits of mine")
    out.write_bytes(theirs)
    with pytest.raises(ConfigError, match="a file that no command here has written"):
      export.write(str(finished), form, out=out)
    assert out.read_bytes() == theirs
    export.write(str(finished), form, out=out, overwrite=True)
    assert out.read_bytes() != theirs


@pytest.mark.parametrize(
  ("given", "message"),
  [
    ({"workdir": None}, "which run"),
    ({"workdir": "{folder}"}, "holds no run"),
    ({"form": "onxx"}, r"--format is 'onxx', which is not known. Did you mean 'onnx'"),
    ({"net": "generater"}, r"'generater' is not there; .* Did you mean 'generator'"),
    ({"form": "safetensors", "net": "x"}, r"--net is 'x', which is no net of the game. Accepted: discriminator"),
    ({"checkpoint": "best"}, "has kept no best checkpoint"),
    ({"checkpoint": "7"}, "has no checkpoint 7; it has 6"),
    ({"out": "{folder}"}, "is a folder; give the file a name in it"),
    ({"out": "x.bin"}, r"a file whose name ends in .stablehlo"),
    ({"out": "{file}/x.stablehlo"}, "cannot be made"),
  ],
)
def test_mistakes_are_told(finished, tmp_path, given, message):
  (tmp_path / "file").write_text("")
  places = {"folder": tmp_path, "file": tmp_path / "file"}
  filled = {k: v.format(**places) if isinstance(v, str) else v for k, v in given.items()}
  with pytest.raises(ConfigError, match=message):
    export.write(**({"workdir": str(finished), "form": "stablehlo"} | filled))
  assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_package_that_is_missing_is_told(finished, tmp_path, monkeypatch):
  found = importlib.util.find_spec
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "flatbuffers" else found(name))
  with pytest.raises(ConfigError, match=r"flatbuffers: pip install 'gan_jax\[export\]'"):
    export.write(str(finished), "stablehlo", out=tmp_path / "a.stablehlo")


def test_the_command_writes_into_the_workdir_and_tells_mistakes(finished, tmp_path):
  run = shutil.copytree(finished, tmp_path / "dcgan")
  command = [sys.executable, "-m", "experiments.export", f"--workdir={run}"]
  done = subprocess.run([*command, "--format=card"], cwd=ROOT, capture_output=True, text=True, timeout=300)
  assert done.returncode == 0 and str(run / "export" / "README.md") in done.stdout, done.stderr
  done = subprocess.run([*command, "--format=onxx"], cwd=ROOT, capture_output=True, text=True, timeout=300)
  assert done.returncode == 1 and done.stderr.startswith("error: --format is 'onxx'") and "Trace" not in done.stderr


@pytest.mark.parametrize("name", ["dcgan:digits", "fgan:kl", "sngan", "cyclegan:resnet"])
def test_onnx_gives_the_nets_outputs(name):
  """At two batch sizes; of DCGAN's generator, of dense and of residual ones, of a translator."""
  onnxruntime = pytest.importorskip("onnxruntime")
  pytest.importorskip("jax2onnx")
  run = run_of(name)
  part, nets = parts.choose(run), train.averaged(run.state)
  session = onnxruntime.InferenceSession(export.FORMATS["onnx"].content(run, part))
  for n in (1, 6):
    given = inputs_of(part, n)
    expected = applied(part, nets, *given)
    (found,) = session.run(None, {each.name: np.asarray(x) for each, x in zip(session.get_inputs(), given)})
    assert np.std(expected) > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_what_onnx_cannot_say_is_refused():
  pytest.importorskip("jax2onnx")
  run = run_of("pix2pix:outlines")
  with pytest.raises(ConfigError, match="generator draws random numbers, which ONNX does not"):
    export.FORMATS["onnx"].content(run, parts.choose(run))
  experiment, config = tiny.experiment_of("dcgan:digits", {"dtype": "bfloat16"})
  run = parts.Run(Path("run"), config, experiment, with_weights(experiment.game))
  with pytest.raises(ConfigError, match="onnxruntime cannot run generator"):
    export.FORMATS["onnx"].content(run, parts.choose(run))
  run = run_of("r3gan:paper")
  with pytest.raises(ConfigError, match="jax2onnx cannot convert generator"):
    export.FORMATS["onnx"].content(run, parts.choose(run))


def test_the_code_on_the_page_about_export_runs(finished, monkeypatch):
  monkeypatch.chdir(finished.parent.parent)
  forms = ["stablehlo", "safetensors"] + ["onnx"] * (importlib.util.find_spec("jax2onnx") is not None)
  for form in forms:
    export.write("runs/dcgan", form)
  given = {}
  for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "export.md").read_text(), re.S):
    if "onnx" in forms or "onnxruntime" not in block:
      exec(block, given)
  assert given["images"].shape == (16, 8, 8, 1)
  experiment, state = trained.load("runs/dcgan")
  generator = experiment.game.nets["generator"]
  found, _ = generator.apply(given["params"], given["stats"], given["latents"], train=False)
  expected = experiment.game.sample(*train.averaged(state), jax.random.key(0), 16, latents=given["latents"])
  np.testing.assert_array_equal(found, expected)
