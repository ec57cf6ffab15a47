"""The package's modules, one by one; no emulator, no other language."""
