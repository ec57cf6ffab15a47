"""The operating system: files, sockets, limits, logs, metrics."""
