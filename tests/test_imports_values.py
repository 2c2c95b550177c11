"""Cells as files write them, and what they mean."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from imports.values import Format, Unreadable, countries, date_pattern

FORMAT = Format(dates=("mm/dd/yyyy", "dd-mm-yyyy", "yyyy-mm-dd"))
GERMAN = Format(dates=("dd.mm.yyyy",), decimal_mark=",", yes=("ja",), no=("nein",))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("3/1/2017", datetime(2017, 3, 1, tzinfo=UTC)),
        ("12/31/2017", datetime(2017, 12, 31, tzinfo=UTC)),
        ("31-12-2017", datetime(2017, 12, 31, tzinfo=UTC)),
        ("2018-02-26", datetime(2018, 2, 26, tzinfo=UTC)),
        ("2018-02-26 19:58:54", datetime(2018, 2, 26, 19, 58, 54, tzinfo=UTC)),
        ("2018-02-26T19:58", datetime(2018, 2, 26, 19, 58, tzinfo=UTC)),
        ("2018-02-26T19:58:54.25Z", datetime(2018, 2, 26, 19, 58, 54, 250_000, tzinfo=UTC)),
        ("2018-02-26T01:00:00+02:00", datetime(2018, 2, 25, 23, tzinfo=UTC)),
        ("2018-02-26T19:00:00 -0330", datetime(2018, 2, 26, 22, 30, tzinfo=UTC)),
    ],
)
def test_a_date_is_read_in_any_of_the_ways_the_file_writes_it(text, moment):
    assert FORMAT.reader("moment")(text) == moment
    assert FORMAT.reader("date")(text) == moment.date()


@pytest.mark.parametrize(
    "text",
    ["13/13/2017", "2017-02-29", "yesterday", "1.2.2017", "2018-02-26 25:00", ""],
)
def test_what_is_no_date_is_told_with_the_ways_that_are_known(text):
    with pytest.raises(Unreadable, match=r"is no date \(mm/dd/yyyy or dd-mm-yyyy or yyyy-mm-dd\)"):
        FORMAT.reader("moment")(text)


def test_the_first_way_that_fits_decides():
    assert FORMAT.read_date("04/05/2017") == date(2017, 4, 5)
    assert Format(dates=("dd/mm/yyyy",)).read_date("04/05/2017") == date(2017, 5, 4)


@pytest.mark.parametrize("spelled", ["mm/yyyy", "dd-mm-yy", "yyyy-mm-dd hh", "", "month dd yyyy"])
def test_a_date_is_spelled_with_year_month_and_day(spelled):
    with pytest.raises(ValueError, match="spelled with yyyy, mm and dd"):
        date_pattern(spelled)


@pytest.mark.parametrize(
    ("format_", "text", "number"),
    [
        (FORMAT, "1054", "1054"),
        (FORMAT, "1,054.50", "1054.50"),
        (FORMAT, "1'234'567.8", "1234567.8"),
        (FORMAT, "-0.5", "-0.5"),
        (FORMAT, "+7", "7"),
        (GERMAN, "1.054,50", "1054.50"),
        (GERMAN, "1 054,50", "1054.50"),
        (GERMAN, "0,63", "0.63"),
    ],
)
def test_a_number_is_read_as_people_of_its_country_write_it(format_, text, number):
    assert format_.reader("decimal")(text) == Decimal(number)


@pytest.mark.parametrize(
    ("format_", "text"),
    [
        (FORMAT, "1.054,50"),
        (FORMAT, "10,54"),
        (FORMAT, "12 apples"),
        (FORMAT, "1e9"),
        (FORMAT, "NaN"),
        (GERMAN, "1,054.50"),
        (GERMAN, "10.5"),
    ],
)
def test_what_is_no_number_here_is_not_guessed(format_, text):
    with pytest.raises(Unreadable, match="is no number"):
        format_.reader("decimal")(text)


def test_a_whole_number_may_bear_a_fraction_of_nothing():
    assert FORMAT.reader("integer")("100.0") == 100
    assert FORMAT.reader("number")("2.5") == 2.5
    with pytest.raises(Unreadable, match="is no whole number"):
        FORMAT.reader("integer")("2.5")


def test_a_number_may_stand_for_so_many_times_what_is_written():
    assert FORMAT.reader("decimal", Decimal(1_000_000))("1100.04") == Decimal(1_100_040_000)
    assert FORMAT.reader("integer", Decimal(12))("0.5") == 6
    assert FORMAT.reader("number", Decimal("0.01"))("63") == 0.63


def test_yes_and_no_are_words_of_the_file():
    assert [FORMAT.reader("boolean")(text) for text in ("Yes", "TRUE", "1")] == [True] * 3
    assert [FORMAT.reader("boolean")(text) for text in ("No", "false", "0")] == [False] * 3
    assert GERMAN.reader("boolean")("Ja") is True
    with pytest.raises(Unreadable, match="neither yes"):
        GERMAN.reader("boolean")("yes")


def test_a_country_is_known_by_name_and_by_code():
    read = FORMAT.reader("country")
    assert [read(text) for text in ("United States", "usa", "us", "Viet Nam", "Türkiye")] == [
        "US",
        "US",
        "US",
        "VN",
        "TR",
    ]
    with pytest.raises(Unreadable, match="is no country"):
        read("Philipines")
    assert len(set(countries().values())) == 249
