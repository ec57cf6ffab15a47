"""Real processes of the extension, the wrapper and the command line; no emulator."""
