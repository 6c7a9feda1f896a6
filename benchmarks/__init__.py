"""Measurements, paired and interleaved in one run; none of them is a test."""
