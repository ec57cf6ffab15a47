"""What AWS is in a benchmark: processes of their own, so that they take no time from who measures or is measured."""
