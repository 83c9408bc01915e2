"""A herd: many copies of the code under test at once, each an operation of its own, in threads or in tasks.

Laws of this package:
1. The same seed gives the same moments of coming, and copies are numbered in their order.
2. What a copy raises is kept, and ends no other copy. What is no `Exception` is raised: once all threads have ended,
   and at once where tasks are.
3. A copy is a scope: its attempts are told apart from those of every other, whatever they look like.
"""

from pytest_retrychaos.herd.herding import Herding
from pytest_retrychaos.herd.result import Herd

__all__ = ["Herd", "Herding"]
