"""Where data comes from: each module turns one kind of source into a `gan_jax.data.dataset.Dataset`, a pure `draw` and
a held-out `test`. Images are stored as uint8 and drawn as float32 in [-1, 1]; points keep the units of their
distribution. Nothing is imported here, so that a source's libraries load when it is asked for and not before.
"""
