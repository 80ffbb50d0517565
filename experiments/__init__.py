"""The commands, and one config a result. Everything may be imported here, and nothing imports from here."""
