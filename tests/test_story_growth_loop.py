"""The story of growth-loop: traffic, fission, first deal, repurchase, referral, rewards."""

from stories import Story, tell


def story(until: str = "2025-12-31 00:00") -> Story:
    """Tell it up to a time."""
    return tell("growth-loop", until)


def test_lin_takes_the_task_brings_three_and_gets_the_gift() -> None:
    """Poster at noon, the third friend the next morning at ten: the gift comes with that friend."""
    assert story("2025-05-05 12:00").got("lin") == [
        "05-04 12:00 your_poster",
        "05-04 15:00 silver_reward",
        "05-05 10:00 fission_gift",
    ]
    assert story("2025-05-05 12:00").tags("lin")["fission"] == "active"


def test_lin_goes_round_the_whole_loop() -> None:
    """Drained, sharer, first deal, and with the second order a referrer already."""
    assert story("2025-05-23 00:00").history("lin", "loop") == [
        "drained",
        "sharer",
        "first-deal",
        "referrer",
    ]


def test_lin_takes_the_cheap_first_deal_and_is_not_reminded_of_it() -> None:
    """The goal is reached the next evening; the repurchase SOP takes over."""
    assert story().left("lin")["first-deal"] == "goal"
    assert story("2025-05-21 00:00").got("lin")[3:] == [
        "05-05 18:00 welcome_with_9_9_deal",
        "05-11 19:00 are_you_satisfied",
        "05-20 12:00 bundle_offer",
    ]


def test_lin_reaches_gold_and_somebody_talks_to_her() -> None:
    """20 for the share, 300 for three friends, 10 + 9 and 10 + 68 for two orders: 417 points."""
    assert story().points("lin") == 20 + 300 + 10 + 9 + 10 + 68
    assert story("2025-05-23 00:00").got("lin")[-2:] == [
        "05-22 20:00 gold_reward",
        "05-22 21:00 make_a_koc_of_them",
    ]


def test_lin_rests_on_her_laurels_and_the_clock_takes_the_tier_back() -> None:
    """Half a year and thirty days after the points she is no longer gold, by time alone."""
    assert story("2025-11-01 00:00").stage("lin", "tier") == "gold"
    late = Story("growth-loop", "2026-02-01 00:00")
    assert late.stage("lin", "tier") == "member"
    assert late.points("lin") == 417


def test_chen_needs_another_day_and_makes_it() -> None:
    """One friend after two days: a word at six in the evening; the third one brings the gift."""
    assert story().got("chen") == [
        "05-04 15:00 your_poster",
        "05-05 20:00 silver_reward",
        "05-06 18:00 one_more_day",
        "05-07 09:30 fission_gift",
    ]


def test_zhao_never_began_and_is_left_in_peace() -> None:
    """Who brought nobody is not pushed; the fact tells the count that decided."""
    assert story().got("zhao") == ["05-04 20:00 your_poster"]
    skipped = story().fact("zhao", "step_skipped", "fission-task/one-more-day")
    assert (skipped.new, skipped.values["count referral_made within 3d"]) == ("guard", "0")


def test_sun_scans_at_night_and_gets_the_poster_in_the_morning() -> None:
    """Quiet hours hold it back from 23:30 to nine."""
    assert story().stopped("sun")[0] == "05-04 23:30 fission-task/task: quiet_hours"
    assert story().got("sun")[0] == "05-05 09:00 your_poster"


def test_sun_sends_the_bundle_back_and_with_it_points_and_tier() -> None:
    """The money's points go with the money, and silver with the points, grace or not."""
    assert story("2025-05-13 00:00").stage("sun", "tier") == "silver"
    assert story("2025-05-15 00:00").stage("sun", "tier") == "member"
    assert story().points("sun") == 10 + 9
    assert story().left("sun")["referral"] == "sent-back"


def test_wu_comes_back_and_is_asked_to_bring_a_friend() -> None:
    """Repeat customer on 20 May, asked on the 22nd, thanked with the friend on the 25th."""
    assert story().got("wu") == [
        "05-06 12:00 welcome_with_9_9_deal",
        "05-08 12:00 deal_ends_tomorrow",
        "05-13 19:00 are_you_satisfied",
        "05-22 19:30 bring_a_friend",
        "05-25 12:00 referral_reward",
        "05-25 12:00 silver_reward",
    ]
    assert story().left("wu")["repurchase"] == "second_order"


def test_zhou_is_held_out() -> None:
    """He goes part of the way by himself: that is what the rest is compared with."""
    assert story().got("zhou") == []
    assert {reason.rpartition(": ")[2] for reason in story().stopped("zhou")} == {"holdout"}
