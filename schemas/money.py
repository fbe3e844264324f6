"""Money is kept in whole minor units; how many of them make one unit is the currency's."""

_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_DIGITS = dict.fromkeys(_NONE.split(), 0) | dict.fromkeys(_THREE.split(), 3)
"""Digits behind the point, by ISO 4217, of currencies that have not two."""


def written(minor: float, currency: str) -> str:
    """Write an amount of minor units for people: 129900 fen are ``1,299.00 CNY``."""
    digits = _DIGITS.get(currency, 2)
    return f"{minor / 10**digits:,.{digits}f} {currency}"
