"""Losses: pure functions of arrays, with no networks, optimisers, configs or meshes in them."""
