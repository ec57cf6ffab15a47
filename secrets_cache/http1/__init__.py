"""HTTP/1.1 as a client: a parser of responses without I/O, one exchange over a plain socket, kept connections."""
