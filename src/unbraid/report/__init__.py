"""The interactive page of one run or of many: one file, opened without a server or a network."""

from unbraid.report.build import build, find_runs, write_report

__all__ = ["build", "find_runs", "write_report"]
