"""The simulation of many environments against AWS's quotas."""
