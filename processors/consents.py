"""Consent: whether a purpose may be pursued on a channel, at this moment."""

from collections.abc import Mapping

from schemas.profile import Mark, Profile

EVERY_CHANNEL = "*"
MARKS_AT_MOST = 64
"""Consents, attributes and friends kept for one person: of each the latest."""


def permitted(profile: Profile, purpose: str, channel: str, opt_out: Mapping[str, bool]) -> bool:
    """Tell whether the person lets us pursue the purpose on the channel.

    The last word counts, whether it was about this channel or about all of them; of two words of
    the same instant the refusal. Without a word the purpose's policy decides.

    A profile keeps the latest ``MARKS_AT_MOST`` words. Once it has so many, an older one may be
    gone, and it may have been a refusal: so the answer is no, wherever a word that is gone could
    have been the last. Grants are not dropped before refusals: a word may turn from the one into
    the other, and then what is kept would depend on the order in which the words arrive.

    Args:
        profile: The person.
        purpose: Empty for what needs no consent.
        channel: Empty for none in particular: only words about all channels count.
        opt_out: By purpose, whether silence means yes; an unknown purpose is refused.
    """
    if not purpose:
        return True
    word = _last_word(profile, purpose, channel)
    if _may_be_gone(profile, word):
        return False
    return bool(word.value) if word else opt_out.get(purpose, False)


def said(profile: Profile, purpose: str, channel: str) -> dict[str, str]:
    """Return what the person said last, as values of a fact."""
    word = _last_word(profile, purpose, channel)
    spoken = {"granted": str(bool(word.value)).lower(), "said_at": str(word.at)} if word else {}
    if _may_be_gone(profile, word):
        spoken["words_at_most"] = str(MARKS_AT_MOST)
    return {"purpose": purpose, "channel": channel, **spoken}


def _may_be_gone(profile: Profile, word: Mark | None) -> bool:
    """Tell whether a word that is no longer kept may be the last, rather than this one."""
    words = profile.consents.values()
    if len(words) < MARKS_AT_MOST:
        return False
    return word is None or word.at == min(each.at for each in words)


def _last_word(profile: Profile, purpose: str, channel: str) -> Mark | None:
    found = (profile.consents.get(f"{purpose}/{each}") for each in (channel, EVERY_CHANNEL))
    words = [word for word in found if word is not None]
    return max(words, key=lambda word: (word.at, not word.value), default=None)
