"""Reports and gates: what a run put the code through, as one document, and the files that are made of it.

Laws of this package:
1. There is one document (`document.Document`). Every format is drawn from it alone, so that all of them agree.
2. A document holds no bodies, no headers and no value that differs from run to run but real times: keys and other
   volatile values stand as numbers (K1, V1), and secrets as marks, as in `Trace.shown`.
3. Tests stand in the order of file, line and id, however the run was spread over processes or machines.
4. A file is written whole or not at all.
"""
