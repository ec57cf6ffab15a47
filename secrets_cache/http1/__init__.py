"""HTTP/1.1 as a client: one exchange over a plain socket, and connections that are kept."""
