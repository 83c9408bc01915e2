"""Libraries that are loaded in the middle of a run: what is replaced in them is replaced then."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

Act = Callable[[ModuleType], None]


class Imports(importlib.abc.MetaPathFinder):
    """While `on`, acts on each of some modules as soon as it has been loaded."""

    def __init__(self, acts: Mapping[str, Act]) -> None:
        self._acts = acts

    def on(self) -> None:
        """Begin."""
        sys.meta_path.insert(0, self)

    def off(self) -> None:
        """End; harmless when it is not on."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find one of the modules by the finders behind this one."""
        act = self._acts.get(fullname)
        if act is None:
            return None
        behind = sys.meta_path[sys.meta_path.index(self) + 1 :]
        found = (finder.find_spec(fullname, path, target) for finder in behind)
        spec = next((one for one in found if one is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, act)
        return spec


class _Loader(importlib.abc.Loader):
    """Loads as another one does, gives its place back to that, and acts."""

    def __init__(self, own: Any, act: Act) -> None:  # Any: a loader, of whatever abilities
        self._own = own
        self._act = act

    def __getattr__(self, name: str) -> Any:  # Any: whatever the loader has
        return getattr(self._own, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._own.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._own
        self._own.exec_module(module)
        self._act(module)
