"""Losses: pure functions of arrays, with no networks, optimizers, configs or meshes in them."""
