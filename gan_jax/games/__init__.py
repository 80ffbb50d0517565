"""Papers, one a file: `specs(data, ...)` says what the nets map, `make(...)` what the players minimise.

What several papers share begins with an underscore. The name of a file is the name of the game in a config.
"""
