"""Generative adversarial networks as games, in JAX. Nothing is imported here: import the modules that you use."""

__version__ = "0.2.0"
