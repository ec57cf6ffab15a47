"""What the project is compared with, written as its users would write it; compiled, and run in place of our layer."""
