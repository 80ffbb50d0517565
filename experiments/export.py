"""Writes a trained run for others: python -m experiments.export --workdir=runs/fgan_kl --format=stablehlo [--net=NAME]

The formats: stablehlo, a program that runs with jax alone; safetensors, the averaged weights; onnx, a program for other
runtimes; card, a model card in Hugging Face's form. docs/export.md says how to load each.
"""

from absl import flags

from experiments.lab import cli, export

WORKDIR = flags.DEFINE_string("workdir", None, "a run that experiments.run has left")
FORMAT = flags.DEFINE_string("format", "stablehlo", f"one of {', '.join(export.FORMATS)}")
CHECKPOINT = flags.DEFINE_string("checkpoint", "newest", "newest, best (where the run has eval.best), or a round")
NET = flags.DEFINE_string("net", None, "a net of the game, or what it makes of several; else what samples are made of")
OUT = flags.DEFINE_string("out", None, "the file to write; if not given one in WORKDIR/export, named after what it is")
OVERWRITE = flags.DEFINE_boolean("overwrite", False, "replace a file that this command has not written")


def main() -> None:
  print(export.write(WORKDIR.value, FORMAT.value, CHECKPOINT.value, NET.value, OUT.value, OVERWRITE.value))


if __name__ == "__main__":
  cli.start(main)
