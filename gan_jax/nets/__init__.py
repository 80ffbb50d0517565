"""Networks, the only package that imports flax.

Each module stands beside its builder, `builder(spec, /, *, dtype, ...) -> Net`, which makes of a `NetSpec` and settings
a net that fits it; a config names it "file.builder". `adapt` turns a flax module into a `Net`.
"""
