"""The story of exam-prep: from a scanned code to the full course, and who is left in peace."""

from stories import Story, tell


def story(until: str = "2025-12-31 00:00") -> Story:
    """Tell it up to a time."""
    return tell("exam-prep", until)


def test_lin_is_known_by_where_she_came_from_and_what_she_told() -> None:
    """Lin scans the QR in the mini-program and fills in the form: campaign, exam, school."""
    assert story("2025-09-07 21:00").tags("lin") == {
        "channel": "mini_program",
        "campaign": "autumn-openday",
        "intention": "low",
        "exam-year": 2026,
        "target-school": "Xidian",
        "target-major": "computer_science",
        "study-mode": "online",
        "first-attempt": True,
    }


def test_lin_is_welcomed_answered_and_asked_what_she_needs() -> None:
    """Friend at 12:08, welcome at once; she replies at 12:40, and the form comes an hour later."""
    assert story("2025-09-08 00:00").got("lin") == [
        "09-07 12:08 welcome_with_past_papers",
        "09-07 13:40 which_school_form",
    ]
    (welcome,) = story().sent("lin", "welcome_with_past_papers")
    assert (welcome.sender, welcome.sender_role) == ("teacher-wang", "welfare_officer")


def test_lin_and_we_come_to_know_each_other() -> None:
    """Ice-breaking, deep interaction and known demand follow friendship, her reply, her answers."""
    assert story().history("lin", "rapport") == [
        "stranger",
        "ice-breaking",
        "deep-interaction",
        "demand-known",
    ]


def test_lin_is_invited_to_the_trial_on_day_three_at_ten() -> None:
    """On 10 September at 10:00 Shanghai time, with her school and her way of studying."""
    (invitation,) = story().sent("lin", "trial_invitation")
    assert story().got("lin")[2] == "09-10 10:00 trial_invitation"
    assert invitation.params == {"course": "trial_online", "school": "Xidian"}
    assert (invitation.channel, invitation.purpose) == ("wecom_mass", "marketing")


def test_lin_withdraws_consent_and_the_message_of_day_five_says_why_it_was_not_sent() -> None:
    """She says no on the evening of 11 September; on the 12th the reminder is held back."""
    held_back = story().fact("lin", "action_suppressed", "trial-invitation/remind")
    assert (held_back.new, held_back.rule) == ("consent", "consent.marketing")
    assert held_back.values["granted"] == "false"
    assert "09-12 10:00 trial-invitation/remind: consent" in story().stopped("lin")


def test_lin_is_told_of_the_dates_of_her_exam_all_the_same() -> None:
    """The dates of the 2026 intake are a service, and she only refused marketing."""
    assert story().got("lin")[3:] == [
        "10-10 10:00 registration_is_open",
        "12-19 20:00 good_luck",
    ]


def test_chen_comes_at_night_and_is_welcomed_in_the_morning() -> None:
    """He adds the teacher at 23:12; quiet hours hold the welcome back until 08:30."""
    assert story().stopped("chen")[0] == "09-07 23:12 ice-breaking/welcome: quiet_hours"
    assert story().got("chen")[0] == "09-08 08:30 welcome_with_past_papers"


def test_chen_says_nothing_and_is_told_a_story_before_he_is_asked() -> None:
    """Twenty hours without a word: something light at 12:30, and the form an hour after it."""
    assert story().got("chen")[1:3] == ["09-09 12:30 campus_story", "09-09 13:30 which_school_form"]


def test_chen_finishes_the_trial_and_is_led_to_the_full_course() -> None:
    """Plan at 20:00; he asks for the price, so a consultant is to call on the 14th at 10:00."""
    assert story("2025-09-14 12:00").got("chen")[3:] == [
        "09-10 10:00 trial_invitation",
        "09-12 20:00 personal_study_plan",
        "09-14 10:00 call_about_full_course",
    ]
    (call,) = story().sent("chen", "call_about_full_course")
    assert (call.family, call.sender, call.needs_confirmation) == ("lead", "teacher-li", True)
    assert call.params["intention"] == "high"


def test_chen_pays_and_the_class_opens_at_once() -> None:
    """From trial to full course (purchase); we ask after a week at seven in the evening."""
    assert story().stage("chen", "aipl") == "purchase"
    assert story().got("chen")[6:] == [
        "09-14 15:00 open_full_course",
        "09-21 19:00 how_was_your_first_week",
    ]


def test_zhao_sends_it_back_and_nobody_asks_how_the_class_was() -> None:
    """Second attempt, face to face; with the refund the journey and the purchase are undone."""
    assert story().tags("zhao")["second-attempt"] is True
    assert story().left("zhao")["full-course"] == "goal"
    assert story().sent("zhao", "open_full_course")[0].params == {"mode": "face_to_face"}
    assert story().left("zhao")["class-begins"] == "refunded"
    assert story().sent("zhao", "how_was_your_first_week") == []
    assert story().history("zhao", "aipl") == ["interest", "purchase", "interest"]


def test_zhao_started_the_trial_himself_and_is_not_invited_to_it() -> None:
    """The goal of the invitation is reached before day 3."""
    assert story().left("zhao")["trial-invitation"] == "goal"
    assert story().sent("zhao", "trial_invitation") == []


def test_he_falls_silent_is_woken_up_and_gives_a_sign() -> None:
    """Fourteen days after his last touch the clock finds him silent; news at half past twelve."""
    assert story().history("he", "engagement")[:3] == ["active", "silent", "active"]
    assert story().got("he")[-1] == "09-22 12:30 exam_news"
    assert story().fact("he", "wait_ended", "wake-up/any-sign").new == "met"
    assert story().sent("he", "mock_exam_ticket") == []


def test_sun_removes_the_friend_and_hears_nothing_more() -> None:
    """Both journeys end with the removal itself."""
    assert story().left("sun") == {
        "ice-breaking": "friend_removed",
        "trial-invitation": "friend_removed",
    }
    assert story().got("sun") == ["09-08 14:00 welcome_with_past_papers"]
    assert story().stage("sun", "rapport") == "stranger"


def test_mei_is_held_out_and_every_fact_says_so() -> None:
    """She belongs to the five percent by whom we measure: nothing is sent, everything is stated."""
    assert story().got("mei") == []
    assert {reason.rpartition(": ")[2] for reason in story().stopped("mei")} == {"holdout"}


def test_liu_is_history_and_is_not_welcomed() -> None:
    """An import of old friends opens no journey, and without consent no news goes out either."""
    assert story().got("liu") == []
    assert story().stopped("liu")[:2] == [
        "08-20 10:00 ice-breaking: backfill",
        "08-20 10:00 trial-invitation: backfill",
    ]


def test_a_code_scanned_twice_by_the_network_counts_once() -> None:
    """The same event id comes twice, and changes nothing the second time."""
    assert story().counts.duplicates == 1
