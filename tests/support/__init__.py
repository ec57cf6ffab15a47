"""What the tests share: fakes, stubs of AWS and of Lambda, processes, tables."""
