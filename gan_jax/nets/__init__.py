"""Networks, the only package that imports flax; `adapt` turns a flax module into a `Net`."""
