"""What `race.py` runs. In: a name and a case. Out: calls of every candidate, on the same data and weights.

definition.py: what a workload, a candidate and a figure are. networks.py, functions.py, starts.py: the
workloads, by family. described.py: a network as files. with_*.py: the candidates' code, by library; imported
in the candidate's process only.
"""

from workloads import functions, networks, starts

WORKLOADS = {w.name: w for w in (*networks.WORKLOADS, *functions.WORKLOADS, *starts.WORKLOADS)}
