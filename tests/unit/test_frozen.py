"""Frozen values with a quick ``__init__``: nobody can tell them from others, but by the time."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from pytest_retrychaos.frozen import changed, quick


@dataclass(frozen=True, slots=True)
class Plain:
    """What is imitated."""

    x: int
    y: str = "y"
    z: Mapping[str, int] = field(default_factory=dict)


@quick
@dataclass(frozen=True, slots=True)
class Quick:
    """The imitation."""

    x: int
    y: str = "y"
    z: Mapping[str, int] = field(default_factory=dict)


def test_a_value_has_its_fields_by_position_by_name_and_by_default() -> None:
    """As a dataclass has; a default that is made is made for each."""
    one = Quick(1)

    assert one == Quick(x=1) == Quick(1, "y", {})
    assert one.z is not Quick(1).z
    assert Quick(1, z={"a": 1}).z == {"a": 1}
    assert type(one) is Quick
    assert repr(one) == "Quick(x=1, y='y', z={})"


def test_a_value_is_frozen_once_it_is_made() -> None:
    """No field can be set, and none added."""
    one = Quick(1)

    with pytest.raises(FrozenInstanceError):
        one.x = 2  # type: ignore[misc]  # that is the point
    assert not hasattr(one, "__dict__")


def test_a_value_is_copied_pickled_and_replaced() -> None:
    """What is said of dataclasses holds."""
    one = Quick(1, "two", {"three": 3})

    assert replace(one, x=1) == copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize("wrong", [{}, {"x": 1, "q": 2}], ids=["too few", "unknown"])
def test_wrong_arguments_are_refused_as_a_dataclass_refuses_them(wrong: dict[str, int]) -> None:
    """In the same words, but for the name."""
    with pytest.raises(TypeError) as plain:
        Plain(**wrong)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError) as found:
        Quick(**wrong)  # type: ignore[arg-type]  # as above

    assert str(found.value) == str(plain.value).replace("Plain", "Quick")


def test_a_signature_says_the_same() -> None:
    """To editors and `inspect`."""
    assert str(inspect.signature(Quick)) == str(inspect.signature(Plain))


@quick
@dataclass(frozen=True, slots=True)
class Awkward:
    """Fields that are called as what makes them."""

    kind: int = 1
    open: int = 2
    set: int = 3
    plain: int = 4
    factory: Mapping[str, int] = field(default_factory=dict)


def test_fields_may_have_any_name() -> None:
    """What is used to make a value has other names."""
    one = Awkward(open=5)

    assert (type(one), one.kind, one.open, one.set, one.plain, one.factory) == (Awkward, 1, 5, 3, 4, {})


def test_a_class_that_does_more_is_refused() -> None:
    """What comes after its fields would be left out."""
    with pytest.raises(TypeError, match="Checked has __post_init__"):

        @quick
        @dataclass(frozen=True, slots=True)
        class Checked:
            x: int

            def __post_init__(self) -> None: ...

    with pytest.raises(TypeError, match="Named has"):

        @quick
        @dataclass(frozen=True, slots=True, kw_only=True)
        class Named:
            x: int


@dataclass(frozen=True, slots=True)
class Derived(Quick):
    """With a field more."""

    w: int = 0


def test_a_subclass_is_made_as_of_any_dataclass() -> None:
    """It has another layout, and stays of its own class."""
    one = Derived(1, w=2)

    assert (type(one), one.x, one.y, one.z, one.w) == (Derived, 1, "y", {}, 2)


class Named(Quick):
    """With a method more."""

    @property
    def name(self) -> str:
        """Say what it is called."""
        return f"{self.x}{self.y}"


def test_a_subclass_that_adds_no_field_is_made_too() -> None:
    """Which users may make of a value that is handed to them."""
    one = Named(1, z={"a": 1})

    assert (type(one), one.name, one.z) == (Named, "1y", {"a": 1})


@pytest.mark.parametrize("kind", [Plain, Quick])
def test_a_changed_value_is_what_replace_makes_and_the_first_stays(kind: type[Plain]) -> None:
    """Every other field is kept."""
    one = kind(1)

    assert changed(one, y="2") == replace(one, y="2") == kind(1, "2")
    assert one == kind(1)


@pytest.mark.parametrize("kind", [Plain, Quick])
def test_a_value_that_stays_as_it_was_is_the_same_object(kind: type[Plain]) -> None:
    """Nothing is copied for nothing."""
    one = kind(1)

    assert changed(one, x=1, y="y") is one


def test_a_field_that_is_none_is_refused() -> None:
    """A misspelt name changes nothing silently."""
    with pytest.raises(AttributeError, match="q"):
        changed(Plain(1), q=3)
