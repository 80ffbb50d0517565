"""The model card of a run, in Hugging Face's form: README.md with metadata in YAML at its top.

Every figure is one of evaluation.json; where there is none, the card says so.
"""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from experiments.lab import configs
from experiments.lab.observer import EVALUATION
from experiments.lab.parts import Part, Run
from experiments.lab.workdir import ENVIRONMENT
from gan_jax import commands, report
from gan_jax.game import Shape
from gan_jax.metrics import quality

_LOAD = """```python
import jax
from jax import export, numpy as jnp

with open("{name}.stablehlo", "rb") as file:
  {name} = export.deserialize(bytearray(file.read()))
outputs = {name}.call({inputs})
```"""


def text(run: Run, part: Part, output: Shape, random: bool) -> str:
  """The card of a run and of one part of its game.

  Args:
    run: whose config.json, environment.json and, where it is there, evaluation.json count.
    part: that the card shows how to load.
    output: the shape that it gives for one example.
    random: whether it takes a seed.

  Raises:
    ConfigError: if one of the files is damaged.
  """
  environment = report.read_json(run.workdir / ENVIRONMENT) or {}
  evaluation = report.read_json(run.workdir / EVALUATION) or {}
  title = configs.name_of(environment.get("experiment") or run.workdir.name)
  head = yaml.safe_dump(_metadata(run, title, evaluation), sort_keys=False, allow_unicode=True, width=120)
  step, data = int(run.state.step), run.experiment.dataset.name
  game = run.config.game.name.rstrip(":")
  sections = [
    f"---\n{head}---\n\n# {title}",
    f"The game `{game}`, played for {step:,} rounds on `{data}` with gan_jax: generative adversarial networks in JAX. "
    "Weights are moving averages over the rounds where the game keeps them.",
    f"## How to use it\n\n{_use(run, part, output, random)}",
    f"## How good it is\n\n{_figures(evaluation, step)}",
    f"## Data\n\n{_data(run)}",
    f"## Limits\n\n{_limits(run)}",
    f"## Environment\n\n{_environment(environment)}",
    f"## Config\n\n```json\n{json.dumps(configs.plain(run.config), indent=2)}\n```",
  ]
  return "\n\n".join(sections) + "\n"


def _metadata(run: Run, title: str, evaluation: Mapping[str, Any]) -> dict[str, Any]:
  """What the hub reads; the licence is left out, for nobody here knows it."""
  game, data = run.config.game.name.rstrip(":"), run.experiment.dataset.name
  task = _task(run)
  found: dict[str, Any] = {"library_name": "gan_jax", "tags": ["gan", "jax", "gan_jax", game]}
  found |= {"pipeline_tag": task} if task else {}
  metrics = [
    {"type": name, "name": _label(evaluation, name), "value": value, "args": evaluation.get("protocol", {})}
    for name, value in evaluation.get("measures", {}).items()
    if value is not None and not name.endswith((quality.FLOOR, quality.MOST))
  ]
  if metrics:
    dataset = {"type": data, "name": data, "split": "held out"}
    result = {"task": {"type": task or "other"}, "dataset": dataset, "metrics": metrics}
    found["model-index"] = [{"name": title, "results": [result]}]
  return found


def _task(run: Run) -> str:
  """The hub's name for what the game does, "" where it has none."""
  game = run.experiment.game
  if game.sample is None:
    return "image-to-image" if game.translate is not None else ""
  images = len(run.experiment.dataset.shape) == 3
  return "unconditional-image-generation" if images and not game.labels else ""


def _use(run: Run, part: Part, output: Shape, random: bool) -> str:
  rows = [f"| {i} | `float32 {_shape(shape)}` |" for i, shape in enumerate(part.inputs)]
  rows += [f"| {len(rows)} | `uint32 []`, the seed of what it draws |"] if random else []
  given = [_example(run, shape) for shape in part.inputs] + (["jnp.uint32(0)"] if random else [])
  prior = configs.flatten(run.config.game.get("prior") or {})
  settings = ", ".join(f"{name}={value}" for name, value in prior.items() if name != "name")
  latents = f" The game draws its latents by `{prior['name']}({settings})`." if prior else ""
  images = ", images with values in [-1, 1]" if len(output) == 3 else ""
  zeros = " Zeros stand there for inputs of your own." if any("zeros" in each for each in given) else ""
  return (
    f"`{commands.shown('export')} --workdir=WORKDIR --net={part.name}` writes `{part.name}.stablehlo`, which needs "
    f"`pip install jax flatbuffers` and nothing of gan_jax:\n\n"
    f"{_LOAD.format(name=part.name, inputs=', '.join(given))}\n\n| input | |\n|---|---|\n{chr(10).join(rows)}\n\n"
    f"The output is `float32 {_shape(output)}`{images}; b is any number from 1 on.{zeros}{latents}"
  )


def _example(run: Run, shape: Shape) -> str:
  """Code for four inputs of a shape: latents as the game's prior draws them, where it is a known one, or zeros."""
  game, batch = run.config.game, (4, *shape)
  prior = configs.flatten(game.get("prior") or {})
  if shape == (game.get("latent_dim"),) and run.experiment.game.codes is None:
    if prior.get("name") == "priors.normal":
      return f"jax.random.normal(jax.random.key(0), {batch})"
    if prior.get("name") == "priors.uniform":
      return f"jax.random.uniform(jax.random.key(0), {batch}, minval={prior['low']}, maxval={prior['high']})"
  return f"jnp.zeros({batch})"


def _figures(evaluation: Mapping[str, Any], step: int) -> str:
  measures = evaluation.get("measures")
  if not measures:
    return f"It has not been evaluated: the run has no {EVALUATION} with figures."
  lines = ["| measure | value | real data | |", "|---|---|---|---|"]
  for name in measures:
    if not name.endswith((quality.FLOOR, quality.MOST)):
      floor = _number(measures, name + quality.FLOOR) if name + quality.FLOOR in measures else ""
      meaning = evaluation.get("explained", {}).get(name, {}).get("meaning", "")
      lines.append(f"| {_label(evaluation, name)} | {_number(measures, name)} | {floor} | {meaning} |")
  when = evaluation.get("round", 0)
  whose = f"Measured after round {when:,}, with the {evaluation.get('weights') or 'raw'} weights."
  if when != step:
    whose += f" **The weights here are those of round {step:,}, which these figures are not of.**"
  how = [
    f"- {section}, {what}: {value}"
    for section, protocol in evaluation.get("protocol", {}).items()
    for what, value in protocol.items()
  ]
  return "\n".join([whose, "", *lines, "", "The protocol:", "", *how] if how else [whose, "", *lines])


def _data(run: Run) -> str:
  data = run.experiment.dataset
  size = "drawn without end" if data.size is None else f"{data.size:,} training examples"
  held_out = f"{len(data.held_out):,} held out"
  labels = f", {data.classes} classes" if data.classes else ""
  domains = f", domains {', '.join(data.domains)}" if len(data.domains) > 1 else ""
  return f"`{data.name}`: {size}, {held_out}, each `{list(data.shape)}`{labels}{domains}. Its licence is unknown here."


def _limits(run: Run) -> str:
  shape = list(run.experiment.dataset.shape)
  return (
    f"- It was trained on this data alone, and makes nothing but examples of `{shape}` like these; what the data lacks "
    "or has too much of, so does it.\n"
    "- The figures depend on the number of samples and on what looks at them. Only those with equal protocols can be "
    "compared.\n"
    "- No licence is given here: that of the data may bind, and whoever publishes this decides on the rest."
  )


def _environment(environment: Mapping[str, Any]) -> str:
  if not environment:
    return f"Not known: the run has no {ENVIRONMENT}."
  packages = ", ".join(f"{name} {version}" for name, version in environment.get("packages", {}).items())
  known = {
    "Python": environment.get("python"),
    "packages": packages,
    "devices": ", ".join(environment.get("devices", [])),
    "processor": environment.get("processor"),
    "commit of gan_jax": environment.get("commit"),
    "started": environment.get("started"),
  }
  return "\n".join(f"- {name}: {value}" for name, value in known.items() if value)


def _label(evaluation: Mapping[str, Any], name: str) -> str:
  return evaluation.get("explained", {}).get(name, {}).get("label", name)


def _number(measures: Mapping[str, float | None], name: str) -> str:
  value = measures[name]
  return "not finite" if value is None else f"{value:.6g}"


def _shape(shape: Shape) -> str:
  return f"[{', '.join(('b', *map(str, shape)))}]"
