"""The whole under AWS's Runtime Interface Emulator."""
