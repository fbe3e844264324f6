"""The story of vocational-course: who takes part, who is handed to sales, and who needs longer."""

from stories import Story, tell


def story(until: str = "2025-06-01 00:00") -> Story:
    """Tell it up to a time."""
    return tell("vocational-course", until)


def test_lin_gets_seven_days_made_for_what_she_told() -> None:
    """Welcome, the form, and when she has filled it in: salaries for her direction, and a story."""
    assert story("2025-04-16 00:00").got("lin") == [
        "04-08 19:33 welcome_and_course_map",
        "04-09 12:30 survey_form",
        "04-11 12:30 salary_report",
        "04-13 19:30 graduate_story",
        "04-15 12:30 camp_invitation",
    ]
    (report,) = story().sent("lin", "salary_report")
    assert report.params == {"direction": "java", "background": "none"}
    assert story().sent("lin", "survey_form_with_present") == []


def test_lin_is_reminded_of_the_open_class_and_gets_the_notes() -> None:
    """She scanned its code; an hour before it begins she is told, and at noon she has the notes."""
    assert [line for line in story().got("lin") if "class" in line] == [
        "04-18 19:00 class_begins_at_eight",
        "04-19 12:00 class_notes",
    ]
    assert story("2025-04-19 00:00").tags("lin")["participant"] is True


def test_lin_asks_for_the_price_and_sales_have_her_five_minutes_later() -> None:
    """High intention: a lead that sales must confirm, with what they need, good for two days."""
    (lead,) = story().sent("lin", "high_intention")
    assert "04-19 15:05 high_intention" in story().got("lin")
    assert (lead.family, lead.sender_role, lead.needs_confirmation) == ("lead", "sales", True)
    assert lead.params == {
        "channel": "douyin",
        "direction": "java",
        "background": "none",
        "graduate": "false",
    }
    assert lead.expires_at == lead.due_at + 2 * 86_400_000


def test_lin_is_with_sales_and_the_thirty_days_end_for_her() -> None:
    """Nobody writes into the talk of a colleague; with the order she is a student."""
    assert story().left("lin")["thirty-days"] == "sales-took-over"
    assert story().history("lin", "lead") == ["pool", "nurtured", "with-sales", "student"]
    assert story().sent("lin", "open_day") == []


def test_chen_comes_to_all_three_lessons_and_graduates() -> None:
    """The camp reminds him each evening; the third lesson brings the certificate and a lead."""
    camp = [line for line in story().got("chen") if "camp" in line or "intention" in line]
    assert camp == [
        "04-14 18:30 camp_lesson",
        "04-15 18:30 camp_lesson",
        "04-16 18:30 camp_lesson",
        "04-16 19:45 camp_certificate",
        "04-16 19:50 high_intention",
    ]
    assert [a.params["lesson"] for a in story().sent("chen", "camp_lesson")] == ["1", "2", "3"]


def test_sales_report_back_and_chen_is_closed() -> None:
    """The outcome comes as an event with the id of the action that was requested."""
    (lead,) = story().sent("chen", "high_intention")
    assert story().fact("chen", "action_reported", lead.action_id).new == "rejected"
    assert story().stage("chen", "lead") == "closed"


def test_zhao_misses_the_first_lesson_is_helped_and_leaves() -> None:
    """By half past eleven he has not come; the next noon he can catch up; leaving ends it."""
    assert [line for line in story().got("zhao") if "camp" in line] == [
        "04-14 18:30 camp_lesson",
        "04-15 12:30 camp_catch_up",
        "04-15 18:30 camp_lesson",
    ]
    assert story().left("zhao")["camp"] == "left-the-group"


def test_hu_said_do_not_call_and_no_lead_goes_out() -> None:
    """A colleague gave the tag by hand; the guard stops the lead, and the fact shows the tag."""
    skipped = story().fact("hu", "step_skipped", "to-sales/lead")
    assert (skipped.new, skipped.values["tag do-not-call"]) == ("guard", "true")
    assert story().sent("hu", "high_intention") == []


def test_wu_gets_one_mass_message_a_day() -> None:
    """A question at noon; the jobs of 19:30, by the same colleague, wait for the morning."""
    assert story().stopped("wu") == [
        "04-27 19:30 thirty-days/jobs: cap",
        "04-28 00:00 thirty-days/jobs: quiet_hours",
    ]
    assert story().got("wu")[-3:] == [
        "04-27 12:30 still_interested",
        "04-28 09:00 new_jobs",
        "05-06 12:30 course_coupon",
    ]


def test_fan_is_held_out() -> None:
    """She scans, joins and allows everything, and gets nothing: by her we measure."""
    assert story().got("fan") == []
    assert {reason.rpartition(": ")[2] for reason in story().stopped("fan")} == {"holdout"}


def test_participation_is_counted_by_the_tag() -> None:
    """Of six friends three took part in a class or a camp: an activity participation of 50 %."""
    people = ("lin", "chen", "zhao", "hu", "wu", "fan")
    took_part = [who for who in people if "participant" in story("2025-04-20 00:00").tags(who)]
    assert took_part == ["lin", "chen", "hu"]
