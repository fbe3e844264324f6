"""Amounts as people read them."""

import pytest

from schemas.money import written


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (129_900, "CNY", "1,299.00 CNY"),
        (5, "USD", "0.05 USD"),
        (-1_250, "EUR", "-12.50 EUR"),
        (129_900, "JPY", "129,900 JPY"),
        (1_234_567, "KWD", "1,234.567 KWD"),
    ],
)
def test_an_amount_has_the_digits_of_its_currency(minor: int, currency: str, shown: str) -> None:
    """A yen has no minor unit, a dinar a thousand; most have a hundred."""
    assert written(minor, currency) == shown
