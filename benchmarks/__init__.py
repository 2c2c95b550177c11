"""The speed figures of the README, measured again on any machine, each beside its peer.

python -m benchmarks [NAME ...] [--json] [--seconds N]     without a name: all of them
"""
