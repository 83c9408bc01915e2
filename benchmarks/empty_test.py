def test_nothing() -> None:
    """Do nothing: what pytest itself costs."""
