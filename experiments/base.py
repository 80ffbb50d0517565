"""The config that every experiment starts from."""

from typing import Any

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  """Returns the fields that all experiments have; an experiment fills in `game`, `nets` and `optimizer`.

  A name means a file or a function in one: experiments/lab/names.py. Settings that a config leaves out are completed
  with the defaults of the functions that it names. What spans the run refers to `config.train.get_ref("rounds")`.
  """
  return ConfigDict(
    {
      "seed": 0,  # of the networks, the batches, the latents: everything random in a run
      "dtype": "float32",  # of the networks' arithmetic, float32 or bfloat16; parameters stay float32
      "threads": 0,  # of a run's arithmetic on a CPU; 0: one for each core. A sweep has a device for each
      "compilation_cache": True,  # whether compiled programs are kept in the user's cache folder, and found there again
      "game": {"name": ""},  # a file in gan_jax/games; further entries are the settings of its specs and make
      "nets": {},  # net -> {"name": FILE.BUILDER in gan_jax/nets, and its settings}
      "optimizer": {},  # player -> {"name": a function of optax, its settings, "schedule": of the learning rate}
      "data": {
        "name": "mnist5k",  # one of gan_jax/data/sources.py, or one of its PLACES, such as folder:DIR; and its settings
        "batch_size": 64,  # examples in one move
      },
      "train": {
        "rounds": 10_000,  # of the game in all
        "chunk": 100,  # rounds in one compiled scan; a run can be stopped between two
        "ema_decay": 0.999,  # per round, of the generator's moving average, which the samples are drawn from
        "stages": (),  # of a run that changes on its way: ({"rounds": 500, "FIELD": value, ...}, ...)
      },
      "log": {
        "every": 50,  # rounds between lines of metrics.jsonl, each the mean over these; divides train.chunk
        "tensorboard": False,  # whether rows and pictures are written as TensorBoard events too, in WORKDIR/tensorboard
        "wandb": "",  # the project of Weights & Biases that gets them too; offline, unless WANDB_MODE says otherwise
      },
      "eval": {
        "every": 1_000,  # rounds between evaluations, pictures included; a multiple of train.chunk
        "evaluators": ("samples",),  # files in experiments/evaluators; the settings of FILE are eval.FILE
        "best": "",  # a number that they find: the checkpoint of the round where it was best is kept in best/
        "highest": False,  # whether the highest is the best, not the lowest
        "patience": 0,  # the run ends after so many evaluations without a better one; 0: it does not
      },
      "checkpoint": {"every": 1_000},  # rounds between checkpoints; a multiple of train.chunk
      "mesh": {
        "data": 1,  # devices that each batch is split over
        "member": 0,  # devices that a sweep's members are split over; 0: all, and on a CPU one a core
        "fsdp": False,  # whether parameters and optimizers are split over mesh.data too, for nets too large for one
      },
      "distributed": {
        "enabled": False,  # whether this is one of several processes of one run
        "coordinator": "",  # HOST:PORT of process 0; empty where it is found: TPU pods, Slurm, Kubernetes
        "processes": 0,  # how many there are; 0: found
        "process": -1,  # which this is, from 0; -1: found
        "heartbeat": 100,  # seconds without a sign of a process after which the others end; a death is seen at once
      },
    }
  )


def adam(learning_rate: float, b1: float = 0.5, b2: float = 0.999) -> dict[str, Any]:
  """The `optimizer.PLAYER` entry that most of these papers use; b1 as in DCGAN."""
  return {"name": "optax.adam", "learning_rate": learning_rate, "b1": b1, "b2": b2}
