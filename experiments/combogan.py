"""ComboGAN: any number of domains, here digits, coloured digits and outlines, 32x32. Anoosheh et al. 2018.

python -m experiments.run --config=combogan            # three domains: mnist3
python -m experiments.run --config=combogan:two        # digits and coloured ones, without cyclegan's augment_y
python -m experiments.run --config=combogan --config.data.name=folder:DIR    # trainNAME for each domain

Sixteen minutes on one CPU core each, seeds 10 to 12: of digits 91% of the labels survive to either other domain, of
outlines 80 and 62%, of coloured digits 67 and 56%. Of :two, whose cycle weight falls as CycleGAN's does, seven
minutes each: 90.8% (90.6 to 91.6%) X to Y, 78.8% (73.0 to 84.0%) Y to X. docs/codes_and_translations.md has the table
and the pictures.
"""

from ml_collections import ConfigDict

from experiments import cyclegan

VARIANTS = {"three": ("mnist3", 3, 1_500), "two": ("mnist2colour", 2, 1_000)}


def get_config(variant: str = "three") -> ConfigDict:
  data, domains, rounds = VARIANTS[variant]
  config = cyclegan.translator("combogan", "translators", "discriminators", domains)
  config.game.update({"identity_weight": 0.5, "pool_size": 50})
  config.game.cycle_weight = cyclegan.falling(config) if variant == "two" else 10.0
  config.nets.encoder = {"name": "translation.encoder", "width": 16, "blocks": 2}
  config.nets.decoder = {"name": "translation.decoder", "width": 16, "blocks": 2, "upsampling": "resize"}
  config.nets.discriminator = cyclegan.PATCHES
  config.data.name = data
  config.train.rounds = rounds
  return config
