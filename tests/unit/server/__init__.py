"""The server: each module by itself where it can be, else over real sockets, with and without the fast path."""
