"""Games: one paper a file, each with a `make(*, ...) -> Game`, and nothing that trains."""
