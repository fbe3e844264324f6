"""The story of refined-retail: each customer by stage and value, from first look to win-back."""

from stories import Story, tell

from schemas.jsonlines import parse_time


def story(until: str = "2025-07-01 00:00") -> Story:
    """Tell it up to a time."""
    return tell("refined-retail", until)


def test_lin_looks_three_times_in_the_evening_and_gets_an_offer_in_the_morning() -> None:
    """The third look at serums, at 20:55, opens the journey; two hours later it is too late."""
    assert story("2025-03-03 22:00").tags("lin")["wants-serum"] is True
    assert story().stopped("lin")[0] == "03-03 22:55 first-purchase/sample: quiet_hours"
    assert story().got("lin")[0] == "03-04 09:00 serum_sample_offer"
    assert story().sent("lin", "serum_sample_offer")[0].params == {"skin": "dry"}


def test_lin_buys_and_no_longer_wants_what_she_has() -> None:
    """The purchase takes the tag away, and makes an interested person a new customer."""
    after = story("2025-03-05 00:00")
    assert "wants-serum" not in after.tags("lin")
    assert after.stage("lin", "aipl") == "purchase"
    assert after.stage("lin", "customer") == "new_purchased"
    assert after.segment("lin") == "general_develop"


def test_lin_is_cared_for_as_a_new_customer_until_she_comes_again() -> None:
    """Days 1 and 7; the coupon of day 21 is not needed, since she bought again on day 16."""
    assert story("2025-03-31 00:00").got("lin")[1:] == [
        "03-05 10:00 how_to_use",
        "03-11 20:00 how_do_you_like_it",
        "03-14 12:00 goes_well_with_it",
    ]
    assert story().left("lin")["new-customer-care"] == "second_order"


def test_lin_bought_after_advice_and_the_profile_says_that_advice_works() -> None:
    """She asked on 20 March, and bought forty minutes later."""
    assert "advice-works" not in story("2025-03-20 21:30").tags("lin")
    assert story("2025-03-21 00:00").tags("lin")["advice-works"] is True


def test_lin_is_reminded_of_the_serum_when_the_bottle_is_nearly_empty() -> None:
    """Forty days after each bottle, at eight in the evening; the cream between does not count."""
    reminders = story().sent("lin", "time_for_a_new_bottle")
    assert [line for line in story().got("lin") if "bottle" in line] == [
        "04-13 20:00 time_for_a_new_bottle",
        "05-26 20:00 time_for_a_new_bottle",
    ]
    assert {action.params["product"] for action in reminders} == {"serum-30ml"}
    assert len({action.action_id for action in reminders}) == 2


def test_lin_becomes_one_of_the_best_and_is_thanked() -> None:
    """Third order, 757 yuan: 重要价值; the next morning a present, and thanks without an offer."""
    assert story("2025-04-16 00:00").segment("lin") == "important_value"
    assert story("2025-04-17 00:00").got("lin")[-2:] == [
        "04-16 10:30 present_for_the_best",
        "04-16 10:30 thank_you",
    ]
    assert story().sent("lin", "thank_you")[0].params == {"orders": "3"}


def test_lin_has_her_birthday_in_the_month_of_a_present() -> None:
    """One present a month is the cap: the second is dropped and says so; the wishes still come."""
    refused = story().fact("lin", "action_suppressed", "birthday/present")
    assert (refused.new, refused.values["cap"]) == ("cap", "presents")
    assert "04-25 09:30 happy_birthday" in story().got("lin")
    assert story().sent("lin", "happy_birthday")[0].params == {"name": "Lin"}


def test_birthdays_come_again_every_year_by_the_calendar_of_the_person() -> None:
    """Lin was born in 1996, of Zhao we know the day; hers comes when it is 09:30 in California."""
    years = story("2028-01-01 00:00")
    wishes = [(a.user_id, a.requested_at) for a in years.sent("lin", "happy_birthday")]
    assert wishes == [("lin", parse_time(f"{y}-04-25T09:30:00+08:00")) for y in (2025, 2026, 2027)]
    presents = [a.requested_at for a in years.sent("zhao", "birthday_present")]
    assert presents == [parse_time(f"{y}-05-11T09:30:00-07:00") for y in (2025, 2026, 2027)]


def test_lin_stays_away_and_the_clock_alone_makes_it_an_event() -> None:
    """Sixty days after her last order she is 重要保持; a consultant is asked to call her."""
    change = [f for f in story().facts if f.user_id == "lin" and f.new == "important_keep"]
    assert [fact.cause_kind for fact in change] == ["timer"]
    (call,) = story().sent("lin", "call_a_customer_who_stays_away")
    assert (call.family, call.needs_confirmation) == ("lead", True)
    assert call.params == {
        "segment": "important_keep",
        "paid_minor": "75700",
        "product": "serum-30ml",
    }
    assert story().got("lin")[-2:] == [
        "06-15 10:00 call_a_customer_who_stays_away",
        "06-22 12:00 win_back_coupon",
    ]


def test_chen_spent_much_once_and_comes_back_after_the_call() -> None:
    """重要挽留 after sixty days; he buys before the week is over, and no coupon is spent."""
    assert story().history("chen", "spender") == ["middle", "high", "middle"]
    assert story().sent("chen", "call_a_customer_who_stays_away")[0].params["segment"] == (
        "important_retain"
    )
    assert story().fact("chen", "wait_ended", "win-back/back").new == "met"
    assert story().sent("chen", "win_back_coupon") == []


def test_sun_bought_little_and_long_ago_and_gets_one_last_message() -> None:
    """一般挽留: one cheap message at noon, and then silence."""
    assert story().got("sun")[-1] == "05-04 12:00 what_is_new"
    assert story().segment("sun") == "general_retain"


def test_wang_sends_everything_back_and_is_no_customer_any_more() -> None:
    """The refund undoes the stage and the journey; the later step finds that it no longer fits."""
    assert story().left("wang")["new-customer-care"] == "no_order"
    assert story().history("wang", "aipl") == ["interest", "purchase", "interest"]
    assert story().history("wang", "customer") == [
        "new_not_purchased",
        "new_purchased",
        "new_not_purchased",
    ]
    assert story().got("wang") == ["03-07 10:00 how_to_use"]
    assert story().stopped("wang") == ["03-16 12:00 develop/goes-with-it: guard"]


def test_zhao_lives_in_california_and_is_written_to_by_her_own_clock() -> None:
    """Ten in the morning and eight in the evening are hers, right after summer time began there."""
    assert story().got("zhao", "America/Los_Angeles")[:2] == [
        "03-10 10:00 how_to_use",
        "03-16 20:00 how_do_you_like_it",
    ]


def test_zhao_allowed_no_offers_and_gets_none() -> None:
    """Without a word on marketing, silence means no; advice and wishes are a service."""
    assert story().stopped("zhao") == [
        "03-20 03:00 develop/goes-with-it: consent",
        "03-31 03:00 new-customer-care/second-order: consent",
        "05-10 03:00 last-call/news: consent",
    ]
    assert story().got("zhao", "America/Los_Angeles")[2:] == [
        "05-11 09:30 birthday_present",
        "05-11 09:30 happy_birthday",
    ]


def test_xie_is_held_out_and_qian_only_looked() -> None:
    """Five percent get nothing, so that we see what care is worth; one look opens nothing."""
    assert story().got("xie") == []
    assert {reason.rpartition(": ")[2] for reason in story().stopped("xie")} == {"holdout"}
    assert (story().got("qian"), story().stopped("qian")) == ([], [])
    assert story().stage("qian", "aipl") == "awareness"
