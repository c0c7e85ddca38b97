"""Every figure that the project promises, each measured beside its reference in the same run.

`python -m bench [NAME…] [--json]`. A bench is an async function that returns `Figure`s and
stands in `__main__.BENCHES`.
Loads are bounded in count and time and go to this machine only.
"""
